"""Completion webhooks: kept in the transaction that ends a request; sent signed, retried, never into a private network.

The body is ``{"request", "account", "kind", "status", "error", "totals", "requested_at", "ended_at"}``. ``X-Sync-Signature`` is
``t=<epoch seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`` with the configured secret, ``X-Sync-Delivery`` the request's id: a
receiver may see a delivery twice and uses it to tell.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
from psycopg import Connection

from sync_pipelines.core.db import Database
from sync_pipelines.vendors.suppliers.settings import CompletionWebhook

RETRIES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 360, 720))
"""Waits between attempts; then the delivery is given up, visibly."""

TIMEOUT_S = 10.0

Resolve = Callable[[str, int], Sequence[str]]


class Forbidden(ValueError):
    """The address leads where webhooks must not go; the text says why."""


def announce(connection: Connection[Any], request_id: int) -> None:
    """Puts the delivery of an ended request down, in its transaction."""
    connection.execute(
        "INSERT INTO suppliers.webhook_deliveries (request_id, account, body, next_at)"
        " SELECT id, account, json_build_object('request', id, 'account', account, 'kind', kind, 'status', status, 'error', error,"
        " 'totals', totals, 'requested_at', requested_at, 'ended_at', ended_at)::text, suppliers.now()"
        " FROM suppliers.sync_requests WHERE id = %s ON CONFLICT (request_id) DO NOTHING",
        [request_id],
    )


def deliver(
    database: Database,
    account: str,
    webhook: CompletionWebhook,
    *,
    transport: Callable[[str], httpx.BaseTransport] | None = None,
    resolve: Resolve | None = None,
) -> dict[int, str]:
    """Sends what is due of an account; returns ``delivered``, ``retry`` or ``given up`` by request id."""
    outcome: dict[int, str] = {}
    while True:
        with database.transaction() as connection:
            row = connection.execute(
                "SELECT request_id, body, attempts, extract(epoch FROM suppliers.now())::bigint FROM suppliers.webhook_deliveries"
                " WHERE account = %s AND delivered_at IS NULL AND given_up_at IS NULL AND next_at <= suppliers.now()"
                " AND NOT request_id = ANY(%s) ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED",
                [account, list(outcome)],
            ).fetchone()
            if row is None:
                return outcome
            request_id, body, attempts, now = row
            error = _send(webhook, request_id, body.encode(), now, transport, resolve or addresses)
            outcome[request_id] = _note(connection, request_id, attempts, error)


def abandon(database: Database, account: str) -> int:
    """Gives up what is still to be told of an account that no longer has a webhook; returns how many deliveries."""
    with database.connect() as connection:
        return connection.execute(
            "UPDATE suppliers.webhook_deliveries SET given_up_at = suppliers.now(), error = 'no webhook is configured any more'"
            " WHERE account = %s AND delivered_at IS NULL AND given_up_at IS NULL",
            [account],
        ).rowcount


def due_accounts(database: Database) -> set[str]:
    """Accounts with deliveries to be tried now."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT account FROM suppliers.webhook_deliveries WHERE delivered_at IS NULL AND given_up_at IS NULL"
            " AND next_at <= suppliers.now()"
        ).fetchall()
    return {row[0] for row in rows}


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of ``X-Sync-Signature``."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def addresses(host: str, port: int) -> Sequence[str]:
    """All addresses of a host."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def safe_address(url: httpx.URL, resolve: Resolve) -> str:
    """The one address of the host that will be connected to, so that a second look-up cannot lead elsewhere.

    Raises:
        Forbidden: Not https, or any address of the host is not a public one.
    """
    if url.scheme != "https":
        raise Forbidden("completion webhooks need https")
    if url.userinfo:
        raise Forbidden("the address must not hold credentials")
    found = resolve(url.host, url.port or 443)
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not mapped.is_global or mapped.is_multicast:
            raise Forbidden(f"{url.host} is inside a private network")
    if not found:
        raise Forbidden(f"{url.host} has no address")
    return found[0]


def _send(
    webhook: CompletionWebhook,
    request_id: int,
    body: bytes,
    now: int,
    transport: Callable[[str], httpx.BaseTransport] | None,
    resolve: Resolve,
) -> str | None:
    """Sends one delivery; returns the kind of failure, if any."""
    url = httpx.URL(webhook.url)
    headers = {
        "Content-Type": "application/json",
        "X-Sync-Delivery": str(request_id),
        "X-Sync-Signature": signature(webhook.secret.value(), now, body),
    }
    extensions: dict[str, Any] = {}
    try:
        target = url
        if not webhook.allow_private:
            address = safe_address(url, resolve)
            headers["Host"] = url.netloc.decode()
            extensions["sni_hostname"] = url.host
            target = url.copy_with(host=address)
        with (
            httpx.Client(
                timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, transport=transport(str(target)) if transport else None
            ) as client,
            client.stream("POST", target, content=body, headers=headers, extensions=extensions) as response,
        ):
            return None if response.is_success else f"HTTP {response.status_code}"
    except Forbidden as error:
        return str(error)
    except (httpx.HTTPError, OSError) as error:
        return type(error).__name__


def _note(connection: Connection[Any], request_id: int, attempts: int, error: str | None) -> str:
    if error is None:
        connection.execute(
            "UPDATE suppliers.webhook_deliveries SET attempts = attempts + 1, delivered_at = suppliers.now(), error = NULL"
            " WHERE request_id = %s",
            [request_id],
        )
        return "delivered"
    if attempts >= len(RETRIES):
        connection.execute(
            "UPDATE suppliers.webhook_deliveries SET attempts = attempts + 1, given_up_at = suppliers.now(), error = %s"
            " WHERE request_id = %s",
            [error, request_id],
        )
        return "given up"
    connection.execute(
        "UPDATE suppliers.webhook_deliveries SET attempts = attempts + 1, next_at = suppliers.now() + %s, error = %s"
        " WHERE request_id = %s",
        [RETRIES[attempts], error, request_id],
    )
    return "retry"
