"""A look-alike of Amazon's Selling Partner API."""
