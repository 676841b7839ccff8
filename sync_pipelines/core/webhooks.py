"""What a vendor says about its webhooks: where they arrive, how they prove themselves, and which work they mean.

A declaration is pure: it opens neither server nor database. `sync_pipelines.service.intake` serves it, `core.intake` stores what it
accepts.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from sync_pipelines.core.db import Database
from sync_pipelines.core.dead_letters import RetryQueue
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import Json
from sync_pipelines.core.queue import NewTask, QueueSpec
from sync_pipelines.core.references import Reference


class Verdict(StrEnum):
    """What the look at a delivery's key or signature says."""

    GENUINE = "genuine"
    FORGED = "forged"
    """Wrong or missing key or signature: 401."""
    WRONG_ACCOUNT = "wrong account"
    """Genuine, but about another account than its address says: 404."""


Verify = Callable[[Any, Mapping[str, str], Mapping[str, str], bytes], Verdict]
"""Account's settings, headers (lower case), query, raw body."""

ToTasks = Callable[[str, Any, Json], Iterable[tuple[QueueSpec, NewTask]]]
"""Account id, account's settings, decoded body."""


class WorkLocally(Protocol):
    """Does all waiting work of some accounts with nothing but the database."""

    def __call__(self, database: Database, settings_of: Mapping[str, Any], /, *, run_id: str) -> object:
        """Works until nothing waits; `settings_of` holds the settings of the accounts to work for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRoute:
    """One kind of delivery.

    Attributes:
        vendor: First part of the account id.
        path: ``/webhooks/<vendor>/{account}``; ``account`` is the second part of the account id.
        verify: Looks at key or signature; compares in constant time (`keys_match`, `signature_matches`).
        to_tasks: The work it means. What it raises becomes a dead letter; the delivery is stored and answered all the same.
        event_id: The vendor's id of the event from headers and body; ``None`` if it sends none, then the body's digest stands in.
        dedupe_for: How long the same event id is taken for a repeat.
        dedupe_digest_for: The same where the digest stands in. Long enough for the vendor's repeats, but no longer: two real
            changes may look alike (on, off, on again).
        work_locally: Set where the work needs no call to the vendor: the service then does it right after storing the delivery.
            The queue keeps its job, as the net under a service that failed or was killed in between.
        retry_queue: Retries deliveries that cannot be read; ``None`` for none.
        kept_headers: Headers stored with the delivery, lower case; never one that carries a secret.
    """

    vendor: str
    path: str
    verify: Verify
    to_tasks: ToTasks
    event_id: Callable[[Mapping[str, str], Json], str | None] | None = None
    dedupe_for: timedelta = timedelta(days=7)
    dedupe_digest_for: timedelta = timedelta(minutes=2)
    work_locally: WorkLocally | None = None
    retry_queue: RetryQueue | None = None
    kept_headers: Sequence[str] = ("content-type", "user-agent")


def known_keys(references: Iterable[Reference | None]) -> list[str]:
    """The values of an account's keys, without those that nobody has set up yet: while rotating one is enough.

    Raises:
        ConfigError: Not one of them can be looked up.
    """
    found: list[str] = []
    missing: ConfigError | None = None
    for reference in references:
        try:
            found += [] if reference is None else [reference.value()]
        except ConfigError as error:
            missing = error
    if missing is not None and not found:
        raise missing
    return found


def keys_match(given: str | None, accepted: Iterable[str | None]) -> bool:
    """Whether a key is one of the accepted ones (the present and, while rotating, the previous), in time that tells nothing.

    An account without any key accepts nothing.
    """
    matches = False
    offered = (given or "").encode()
    for key in accepted:
        if key:
            matches |= hmac.compare_digest(offered, key.encode())
    return matches


def signature_matches(given: str | None, body: bytes, keys: Iterable[str | None]) -> bool:
    """Whether a hexadecimal HMAC-SHA256 of the raw body was made with one of the accepted keys, in time that tells nothing."""
    offered = (given or "").lower()
    return offered.isascii() and any(
        hmac.compare_digest(offered, hmac.digest(key.encode(), body, "sha256").hex()) for key in keys if key
    )
