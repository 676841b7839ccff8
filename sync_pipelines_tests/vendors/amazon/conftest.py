"""Fixtures for Amazon."""

from sync_pipelines_tests.vendors.amazon.shop import shop

__all__ = ["shop"]
