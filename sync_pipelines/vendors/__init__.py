"""One package per vendor: client, models, tables, streams, actions, definitions."""
