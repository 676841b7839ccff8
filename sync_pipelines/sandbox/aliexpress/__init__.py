"""A look-alike of AliExpress' dropshipping API."""
