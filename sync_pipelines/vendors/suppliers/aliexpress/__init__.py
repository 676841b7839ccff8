"""AliExpress as a supplier, by its dropshipping API."""
