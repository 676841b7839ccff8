"""A look-alike of the example supplier: products as paged JSON, stock and prices as CSV."""
