"""SendCloud: orders, parcels, tracking, labels."""
