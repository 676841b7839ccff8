"""How everything is doing, put together once for page, JSON, metrics and command line. Reads only, knows no Dagster API."""
