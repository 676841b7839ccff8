"""BigBuy as a supplier."""
