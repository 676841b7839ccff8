"""What all answers share: the error shape, request ids, instants as text, and paging tokens bound to their query."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from sync_pipelines.sandbox.amazon.world import Order

FRESHEST = 120.0
"""No read shows the last two minutes (facts §4.1)."""
TOKEN_LIFETIME = 24 * 3600.0


class InvalidInputError(Exception):
    """The request is refused with 400 ``InvalidInput``; some refusals have no message (facts §6)."""

    def __init__(self, message: str | None, details: str | None = None) -> None:
        super().__init__(message)
        self.message, self.details = message, details


def error(status: int, code: str, message: str | None, details: str | None = None) -> Response:
    """An SP-API error."""
    body = {"code": code, "message": message} | ({} if details is None else {"details": details})
    return JSONResponse({"errors": [body]}, status_code=status)


def money(minor: int) -> str:
    """Minor units as Amazon writes amounts: text with two decimals."""
    return f"{minor // 100}.{minor % 100:02d}"


def instant(text: str, name: str) -> float:
    """Epoch seconds of an ISO 8601 parameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"{name} is not a valid ISO 8601 date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds(at: float) -> str:
    """Version 0 tells whole seconds."""
    return datetime.fromtimestamp(int(at * 1000) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(at: float) -> str:
    """Version 2026-01-01 tells milliseconds, cut off like the seconds of v0, so that both name the same second."""
    whole, rest = divmod(int(at * 1000), 1000)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{rest:03d}Z"


@dataclass(frozen=True)
class Search:
    """One listing: the criteria a paging token is bound to, and where its next page begins.

    Attributes:
        by: ``updated`` or ``created``.
        after: Lower bound, inclusive, epoch seconds.
        before: Upper bound, inclusive.
        position: Time and id of the last order served.
        issued: When the token was made.
    """

    tenant: str
    by: str
    after: float
    before: float
    marketplaces: tuple[str, ...]
    statuses: tuple[str, ...]
    channels: tuple[str, ...]
    query: str = ""
    position: tuple[float, str] | None = None
    issued: float = 0.0

    def page(self, orders: Sequence[Order], size: int) -> tuple[list[Order], Order | None]:
        """The next orders, oldest change first, and the last of them if more follow."""
        found = sorted((getattr(order, self.by), order.id, order) for order in orders if self._matches(order))
        if self.position is not None:
            found = [entry for entry in found if entry[:2] > self.position]
        page = [order for _, _, order in found[:size]]
        return page, (page[-1] if len(found) > size else None)

    def _matches(self, order: Order) -> bool:
        return (
            self.after <= getattr(order, self.by) <= self.before
            and (not self.marketplaces or order.marketplace.id in self.marketplaces)
            and (not self.statuses or order.status in self.statuses)
            and (not self.channels or order.fulfilled_by in self.channels)
        )

    def token(self, last: Order, now: float) -> str:
        """A paging token; contains ``+``, ``/`` or ``=``, so it must be encoded in URLs."""
        fields = [self.tenant, self.by, self.after, self.before, self.marketplaces, self.statuses, self.channels, self.query]
        text = json.dumps([*fields, [getattr(last, self.by), last.id], now])
        return base64.b64encode(f"~>{_digest(text)}{text}".encode()).decode()


def read_token(token: str, tenant: str, now: float) -> Search:
    """The listing behind a token; refuses foreign, altered and old ones."""
    try:
        text = base64.b64decode(token, validate=True).decode()
        digest, text = text[2:10], text[10:]
        if digest != _digest(text):
            raise InvalidInputError(None)
        owner, by, after, before, marketplaces, statuses, channels, query, position, issued = json.loads(text)
    except (ValueError, IndexError):
        raise InvalidInputError(None) from None
    if owner != tenant or now - issued > TOKEN_LIFETIME:
        raise InvalidInputError(None)
    return Search(
        tenant, by, after, before, tuple(marketplaces), tuple(statuses), tuple(channels), query, (position[0], position[1]), issued
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), key=b"sandbox", digest_size=4).hexdigest()


def bounds(after: float, before: float | None, now: float) -> tuple[float, float]:
    """Checks the two-minute rule; the upper bound that applies is echoed in the answer."""
    if before is None:
        return after, now - FRESHEST
    if before > now - FRESHEST:
        raise InvalidInputError("Invalid Input", "The before date must be at least two minutes before the current time.")
    if before < after:
        raise InvalidInputError("Invalid Input", "The before date must not be earlier than the after date.")
    return after, before
