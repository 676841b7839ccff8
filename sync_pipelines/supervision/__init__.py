"""Starts the product's processes, watches them, and stops them together. Knows processes, no vendor and no Dagster API."""

from sync_pipelines.supervision.child import Child
from sync_pipelines.supervision.supervisor import Supervisor

__all__ = ["Child", "Supervisor"]
