"""``sendcloud.label_requests`` as work: claimed before the call, settled after it, found again after a crash.

A claim is a committed row whose ``next_attempt_at`` is its lease. Whoever finds one in state ``sending`` later knows that the call
may have been made and asks the vendor first. A unique index lets one request per order get that far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from sync_pipelines.core import dead_letters
from sync_pipelines.core.dead_letters import NewLetter
from sync_pipelines.core.errors import DataError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.vendors.sendcloud import letters
from sync_pipelines.vendors.sendcloud.label_rules import Wish

LEASE_S = 180
"""Longer than any call with its retries takes."""


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """One claimed row. ``attempts`` counts this claim; ``was_sent`` says that an earlier claim may have made the call."""

    id: int
    order_id: str | None
    integration_id: int | None
    order_number: str | None
    external_reference_id: str
    shipping_option: str | None
    contract_id: int | None
    service: str | None
    weight_kg: Decimal | None
    parcels: list[dict[str, Any]] | None
    sender_address_id: int | None
    is_additional: bool
    attempts: int
    was_sent: bool
    shipment_id: str | None
    missing_documents: list[str] | None
    run_id: str

    @property
    def wish(self) -> Wish:
        """What is wanted."""
        return Wish(
            self.external_reference_id,
            self.shipping_option,
            self.contract_id,
            self.service,
            self.weight_kg,
            self.parcels,
            self.sender_address_id,
        )


_RETURNED = (
    "r.id, r.order_id, r.integration_id, r.order_number, r.external_reference_id, r.shipping_option, r.contract_id, r.service,"
    " r.weight_kg, r.parcels, r.sender_address_id, r.is_additional, r.attempts, d.sent_at IS NOT NULL AS was_sent, r.shipment_id,"
    " r.missing_documents, r.run_id"
)

_CLAIM = f"""
WITH d AS (
    SELECT id, sent_at FROM sendcloud.label_requests
     WHERE account = %(account)s AND next_attempt_at <= clock_timestamp()
       AND (state = ANY(%(states)s) OR (%(documents)s AND state = 'done' AND missing_documents <> '{{}}'))
       AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
     ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE sendcloud.label_requests r
   SET attempts = r.attempts + 1, run_id = %(run_id)s, next_attempt_at = clock_timestamp() + make_interval(secs => %(lease)s)
  FROM d WHERE r.id = d.id
RETURNING {_RETURNED}
"""  # noqa: S608 - constant column names


def claim(
    connection: Connection[Any],
    account: str,
    run_id: str,
    *,
    states: Sequence[str],
    documents: bool = False,
    ids: Sequence[int] | None = None,
    limit: int = 20,
) -> list[LabelRequest]:
    """Takes due requests for `LEASE_S`; commits with the caller's transaction."""
    values = {
        "account": account,
        "run_id": run_id,
        "states": list(states),
        "documents": documents,
        "ids": None if ids is None else list(ids),
        "limit": limit,
        "lease": LEASE_S,
    }
    rows = connection.cursor(row_factory=class_row(LabelRequest)).execute(_CLAIM, values).fetchall()
    return sorted(rows, key=lambda row: row.id)


def mark_sending(
    connection: Connection[Any],
    request: LabelRequest,
    *,
    order_id: str,
    integration_id: int,
    order_number: str | None,
    option: str | None,
) -> bool:
    """Records the intent; ``False`` if another request of the same order got this far already."""
    try:
        with connection.transaction():
            connection.execute(
                "UPDATE sendcloud.label_requests SET state = 'sending', sent_at = clock_timestamp(), order_id = %s,"
                " integration_id = %s, order_number = %s, chosen_option = %s, error = NULL WHERE id = %s",
                [order_id, integration_id, order_number, option, request.id],
            )
    except psycopg.errors.UniqueViolation:
        return False
    return True


def settle(
    connection: Connection[Any],
    request: LabelRequest,
    state: str,
    *,
    error: str | None = None,
    shipment_id: str | None = None,
    parcel_ids: Sequence[int] | None = None,
    tracking_number: str | None = None,
    missing_documents: Sequence[str] | None = None,
    look_again_s: float = 0,
) -> None:
    """Writes an outcome; ``look_again_s`` is when a request that goes on is due next.

    A failure opens a dead letter, which a later success of the same request resolves.
    """
    (account,) = connection.execute(
        "UPDATE sendcloud.label_requests SET state = %s, error = %s, shipment_id = coalesce(%s, shipment_id),"
        " parcel_ids = coalesce(%s, parcel_ids), tracking_number = coalesce(%s, tracking_number),"
        " missing_documents = coalesce(%s, missing_documents), settled_at = clock_timestamp(),"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s RETURNING account",
        [
            state,
            error,
            shipment_id,
            None if parcel_ids is None else list(parcel_ids),
            tracking_number,
            None if missing_documents is None else list(missing_documents),
            look_again_s,
            request.id,
        ],
    ).fetchone() or ("",)
    if state == "failed":
        _open_letter(connection, account, request, error or "")
    elif state == "done":
        dead_letters.resolve_newer(connection, account, letters.LABELS, [str(request.id)])


CHANGEABLE = ("shipping_option", "contract_id", "service", "weight_kg", "parcels", "sender_address_id")
"""What of a request its dead letter shows, and what may be edited there."""

REFUSED = "no label was made; sendcloud.label_requests.error of the request has the words"


def _open_letter(connection: Connection[Any], account: str, request: LabelRequest, words: str) -> None:
    dead_letters.open_letter(
        connection,
        NewLetter(
            account=account,
            subject=letters.LABELS,
            key=str(request.id),
            cause="LabelFailed",
            error=REFUSED,
            payload=encode_json({name: getattr(request, name) for name in CHANGEABLE}),
            request=f"order {request.order_number or request.order_id}",
            response=words.encode(),
            run_id=request.run_id,
            retry=letters.RETRY_QUEUE,
        ),
    )


def change(connection: Connection[Any], account: str, key: int, wish: Any) -> None:
    """Changes what a failed request asks for; `CHANGEABLE` names that are missing stay as they are.

    Raises:
        DataError: There are other names in it.
    """
    if not isinstance(wish, dict) or wish.keys() - set(CHANGEABLE):
        raise DataError(f"a label request can be changed in {', '.join(CHANGEABLE)} only", account=account)
    values = {name: Jsonb(value) if name == "parcels" and value is not None else value for name, value in wish.items()}
    columns = ", ".join(f"{name} = %({name})s" for name in CHANGEABLE if name in values)
    if columns:
        connection.execute(
            f"UPDATE sendcloud.label_requests SET {columns} WHERE account = %(account)s AND id = %(id)s AND state = 'failed'",  # noqa: S608 - our own column names
            {**values, "account": account, "id": key},
        )


def state_of(connection: Connection[Any], account: str, key: int) -> str | None:
    """The state of a request; ``None`` if there is none."""
    row = connection.execute("SELECT state FROM sendcloud.label_requests WHERE account = %s AND id = %s", [account, key]).fetchone()
    return row[0] if row else None


def postpone(connection: Connection[Any], request: LabelRequest, seconds: float, *, error: str) -> None:
    """Leaves the request as it stands and tries again later."""
    connection.execute(
        "UPDATE sendcloud.label_requests SET error = %s,"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        [error, seconds, request.id],
    )


def not_sent(connection: Connection[Any], request: LabelRequest, seconds: float, *, error: str) -> None:
    """The vendor refused to look at the call (quota, credentials): it waits as if it had not been made."""
    connection.execute(
        "UPDATE sendcloud.label_requests SET state = 'waiting', sent_at = %s, error = %s,"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        [datetime.now().astimezone() if request.was_sent else None, error, seconds, request.id],
    )


def create(
    connection: Connection[Any],
    account: str,
    orders: Sequence[str],
    *,
    requested_by: str,
    shipping_option: str | None = None,
    service: str | None = None,
    integration_id: int | None = None,
) -> list[int]:
    """Inserts a request for each order number that has none which waits, is under way or done; answers all their ids."""
    ids = []
    for order in dict.fromkeys(orders):
        row = connection.execute(
            "SELECT id FROM sendcloud.label_requests WHERE account = %s AND order_number = %s"
            " AND (%s::bigint IS NULL OR integration_id = %s)"
            " AND state IN ('waiting', 'sending', 'announcing', 'done', 'cancelling') AND NOT is_additional ORDER BY id LIMIT 1",
            [account, order, integration_id, integration_id],
        ).fetchone()
        row = (
            row
            or connection.execute(
                "INSERT INTO sendcloud.label_requests"
                " (account, order_number, integration_id, shipping_option, service, requested_by)"
                " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                [account, order, integration_id, shipping_option, service, requested_by],
            ).fetchone()
        )
        if row:
            ids.append(int(row[0]))
    return ids


def try_again(connection: Connection[Any], account: str, ids: Sequence[int]) -> int:
    """Failed requests wait once more, under a new reference, because the vendor keeps the failed shipment under the old one."""
    return connection.execute(
        "UPDATE sendcloud.label_requests SET state = 'waiting', sent_at = NULL, error = NULL, shipment_id = NULL,"
        " parcel_ids = NULL, external_reference_id = 'sp-' || gen_random_uuid(), next_attempt_at = clock_timestamp()"
        " WHERE account = %s AND id = ANY(%s) AND state = 'failed'",
        [account, list(ids)],
    ).rowcount


def ask_to_cancel(connection: Connection[Any], account: str, ids: Sequence[int]) -> int:
    """Marks requests to be taken back; those not sent yet are cancelled at once."""
    return connection.execute(
        "UPDATE sendcloud.label_requests SET cancel_requested_at = clock_timestamp(), cancel_outcome = NULL,"
        " state = CASE WHEN state = 'waiting' AND sent_at IS NULL THEN 'cancelled' ELSE state END,"
        " next_attempt_at = clock_timestamp()"
        " WHERE account = %s AND id = ANY(%s) AND state IN ('waiting', 'sending', 'announcing', 'done')",
        [account, list(ids)],
    ).rowcount


def waiting_to_cancel(connection: Connection[Any], account: str, *, limit: int = 100) -> list[tuple[int, str, str]]:
    """Id, state and shipment of labels to be taken back, or whose cancellation the carrier has not answered."""
    return connection.execute(
        "SELECT id, state, shipment_id FROM sendcloud.label_requests WHERE account = %s AND shipment_id IS NOT NULL"
        " AND next_attempt_at <= clock_timestamp() AND ((state = 'done' AND cancel_requested_at IS NOT NULL"
        " AND cancel_outcome IS NULL) OR state = 'cancelling') ORDER BY next_attempt_at, id LIMIT %s",
        [account, limit],
    ).fetchall()


def cancelled(connection: Connection[Any], key: int, state: str, outcome: str, message: str, *, look_again_s: float = 0) -> None:
    """Writes what became of a cancellation."""
    connection.execute(
        "UPDATE sendcloud.label_requests SET state = %s, cancel_outcome = %s, cancel_message = %s,"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        [state, outcome, message, look_again_s, key],
    )
