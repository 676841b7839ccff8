"""What an HTTP answer means: the response as clients see it, its place in the error tree, and how long to stay away.

Nothing is ever decided by the text of an exception or of an answer; a vendor's own signs are read by its ``classify`` hook.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from sync_pipelines.core.errors import AuthError, ContractError, DataError, SyncError, Throttled, TransientError
from sync_pipelines.core.jsons import Json, decode_json

KEPT_BODY = 64 * 1024
"""How much of a body an error keeps for its dead letter."""

LONGEST_RETRY_AFTER_S = 24 * 3600.0
"""A vendor that asks for a longer pause is not believed."""

_EMPTY_IS_FINE = {HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT}
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
_PLAIN_SEGMENT = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}|v\d+|\d{4}-\d{2}-\d{2}|")


@dataclass(frozen=True)
class Response:
    """A whole answer. Its representation shows the status alone: address, headers and body may hold secrets or personal data.

    Attributes:
        status: HTTP status.
        headers: As received.
        body: Decompressed, bounded by the client.
        url: The address that answered, with its query.
    """

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)

    def json(self) -> Json:
        """The body with exact numbers.

        Raises:
            ContractError: It is not JSON.
        """
        return decode_json(self.body)

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @property
    def may_be_empty(self) -> bool:
        """Whether a success without a body is within the contract of HTTP (201, 202, 204, 205)."""
        return self.status in _EMPTY_IS_FINE


def classify(response: Response, *, account: str, retry_at: datetime) -> SyncError | None:
    """The error an answer stands for by its status alone; ``None`` for success.

    Args:
        response: The answer.
        account: ``vendor/name`` for the message.
        retry_at: When to go on if this is a 429.
    """
    status, kept = response.status, response.body[:KEPT_BODY]
    if response.is_success:
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(
            f"{account}: the vendor throttles us until {retry_at:%H:%M:%S} UTC",
            account=account,
            status=status,
            body=kept,
            retry_at=retry_at,
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return AuthError(
            f"{account}: the vendor refuses our credentials or permissions (HTTP {status}); check the account's credentials "
            "and run `sync-pipelines check`",
            account=account,
            status=status,
            body=kept,
        )
    if status >= 500 or status in _TRANSIENT:
        return TransientError(f"{account}: the vendor failed with HTTP {status}", account=account, status=status, body=kept)
    if status >= 400:
        return DataError(f"{account}: the vendor refuses the request with HTTP {status}", account=account, status=status, body=kept)
    return ContractError(f"{account}: unexpected answer HTTP {status}", account=account, status=status, body=kept)


def retry_after_s(headers: httpx.Headers, *, now: datetime) -> float | None:
    """The pause a vendor asks for in ``Retry-After``, in seconds.

    A date is compared with the answer's own ``Date`` if there is one, so that a vendor's wrong clock does no harm.

    Returns:
        ``None`` if there is none, or if it is unreadable, not positive, or longer than a day: the caller backs off instead.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        seconds = float(value)
    else:
        until, vendor_now = _http_date(value), _http_date(headers.get("date", ""))
        if until is None:
            return None
        seconds = (until - (vendor_now or now)) / timedelta(seconds=1)
    return seconds if 0 < seconds <= LONGEST_RETRY_AFTER_S else None


def path_template(path: str) -> str:
    """A path for logs: everything that is not a plain word or a version is replaced.

    >>> path_template("/v3/orders/902-1234567-1234567/items")
    '/v3/orders/{}/items'
    """
    return "/".join(segment if _PLAIN_SEGMENT.fullmatch(segment) else "{}" for segment in path.split("/"))


def _http_date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
