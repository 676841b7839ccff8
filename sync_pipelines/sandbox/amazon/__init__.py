"""A look-alike of the Amazon Selling Partner API: both versions of Orders, reports, tokens and Login with Amazon."""
