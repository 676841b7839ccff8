"""A look-alike of SendCloud."""
