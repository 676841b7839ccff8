"""Look-alike of SendCloud: V3 orders, V2 parcels, V3 shipments, labels, tracking, reference data, quotas and webhooks."""
