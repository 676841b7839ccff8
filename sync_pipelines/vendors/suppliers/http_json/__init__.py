"""The worked example of a connector: a supplier with products as paged JSON, and stock and prices as CSV files."""
