"""A look-alike of BigBuy's API."""
