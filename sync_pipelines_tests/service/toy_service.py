"""The real application serving one invented vendor; ``python -m sync_pipelines_tests.service.toy_service URL PORT`` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.jsons import Json
from sync_pipelines.core.queue import NewTask, QueueSpec
from sync_pipelines.core.webhooks import Verdict, WebhookRoute, keys_match, signature_matches
from sync_pipelines.service.serving import serve

QUEUE = QueueSpec(name="toy-events", supersede=False)


@dataclass(frozen=True)
class ToySettings:
    """One account."""

    number: int = 7
    keys: tuple[str, ...] = ("present-key", "previous-key")


ACCOUNTS = {"toy/main": ToySettings(), "toy/keyless": ToySettings(keys=())}


def by_key(settings: ToySettings, _headers: Mapping[str, str], query: Mapping[str, str], _body: bytes) -> Verdict:
    """A secret in the address."""
    return Verdict.GENUINE if keys_match(query.get("key"), settings.keys) else Verdict.FORGED


def by_signature(settings: ToySettings, headers: Mapping[str, str], _query: Mapping[str, str], body: bytes) -> Verdict:
    """An HMAC of the raw body."""
    return Verdict.GENUINE if signature_matches(headers.get("toy-signature"), body, settings.keys) else Verdict.FORGED


def to_tasks(account: str, settings: ToySettings, body: Json) -> Iterator[tuple[QueueSpec, NewTask]]:
    """One task for each changed thing."""
    for ref in body["refs"]:
        yield QUEUE, NewTask(account=account, key=ref, payload={"ref": ref, "number": settings.number}, lane=Lane.WEBHOOK)


def event_id(_headers: Mapping[str, str], body: Json) -> str | None:
    """The vendor's id, where the body has one."""
    found: Any = body.get("event")
    return found


WEBHOOKS = (
    WebhookRoute(vendor="toy", path="/webhooks/toy/{account}", verify=by_key, to_tasks=to_tasks, event_id=event_id),
    WebhookRoute(vendor="toy", path="/webhooks/toy-signed/{account}", verify=by_signature, to_tasks=to_tasks),
)


def main() -> None:
    """Serves until killed."""
    url, port = sys.argv[1:]
    database = Database(url, application_name="toy service", max_connections=8, timeout_s=4)
    serve(database, WEBHOOKS, ACCOUNTS.get, host="127.0.0.1", port=int(port))


if __name__ == "__main__":
    main()
