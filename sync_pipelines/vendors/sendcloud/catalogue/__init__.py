"""Products, both ways: what orders and parcels say about them, and what the shop's master data says back."""
