"""What SendCloud's dead letters are about besides the records of its streams, and when they are tried again."""

from __future__ import annotations

from datetime import timedelta

from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.intake import LETTER_SUBJECT

RETRY_QUEUE = RetryQueue("sendcloud-dlq", (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20)))
"""What fails is tried again three times, then waits for a person."""

LABELS = "sendcloud/label_requests"
"""Labels that cannot be made; the key is the request's id."""

PRODUCTS = "sendcloud/product_writes"
"""Orders that refuse product data; the key is ``order_id/integration_id``."""

DELIVERIES = f"sendcloud{LETTER_SUBJECT}"
"""Webhooks that could not be read."""

EVENTS = "sendcloud-webhooks"
"""Parcel events that could not be stored; the name of their queue."""
