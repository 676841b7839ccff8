"""What we do to SendCloud: make labels and take them back, each once, whatever happens in between.

The request's row, with our reference in it, is committed before the call. An answer that does not come and a process that dies
are resolved by asking the vendor for that reference; announced again, the vendor answers 409 with the existing shipment.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import msgspec
from psycopg import Connection
from pydantic import ValidationError

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, ConfigError, DataError, RemoteError, Throttled, TransientError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.jsons import Json, encode_json
from sync_pipelines.core.stream import ParseContext, WriteContext
from sync_pipelines.core.upsert import upsert
from sync_pipelines.vendors.sendcloud import document_store, documents, label_requests, mapping, matching, tables
from sync_pipelines.vendors.sendcloud.client import File, SendCloudClient
from sync_pipelines.vendors.sendcloud.faults import explain
from sync_pipelines.vendors.sendcloud.label_requests import LabelRequest
from sync_pipelines.vendors.sendcloud.label_rules import shipment as shipment_body
from sync_pipelines.vendors.sendcloud.models import Order, Shipment
from sync_pipelines.vendors.sendcloud.reference_models import SenderAddress
from sync_pipelines.vendors.sendcloud.settings import Settings

ANNOUNCING, FAILED = frozenset({"ANNOUNCING", "NO_LABEL"}), "ANNOUNCEMENT_FAILED"
CANCELLED = frozenset({"CANCELLED", "CANCELLED_UPSTREAM"})
CANCELLING = frozenset({"CANCELLATION_REQUESTED", "SUBMITTING_CANCELLATION_REQUEST"})
LOOK_AGAIN_S, RETRY_S, LONGEST_RETRY_S = 5.0, 10.0, 900.0


@dataclass(slots=True)
class LabelTotals:
    """What a run did; the keys are those of its metadata.

    Attributes:
        done: Requests that got their label.
        failed: Requests the vendor or we refuse; the reason is on their rows.
        announcing: Still being announced by the vendor.
        postponed: To be tried again later.
        existing: Of the done ones, those whose shipment existed already (409, or found by asking).
        documents: Documents kept.
        cancelled: Labels taken back.
        cancelling: Cancellations the carrier has not answered yet.
        refused: Cancellations refused.
    """

    done: int = 0
    failed: int = 0
    announcing: int = 0
    postponed: int = 0
    existing: int = 0
    documents: int = 0
    cancelled: int = 0
    cancelling: int = 0
    refused: int = 0

    def as_metadata(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)


class Labels:
    """Works label requests of one account off, some at the same time; any number of processes may do the same.

    Args:
        database: Where the requests are.
        account: ``vendor/name``.
        client: Of that account.
        settings: Of that account.
        run_id: The Dagster run.
    """

    def __init__(self, database: Database, account: str, client: SendCloudClient, settings: Settings, *, run_id: str) -> None:
        self.database, self.account, self.client, self.settings, self.run_id = database, account, client, settings, run_id
        self._lock = Lock()
        self._sender: int | None = None

    def create(self, *, ids: Sequence[int] | None = None, should_stop: Callable[[], bool] = lambda: False) -> LabelTotals:
        """Works off what is due: waiting requests, those a dead process left, announcements under way, missing documents.

        Args:
            ids: Only these requests.
            should_stop: Asked between batches.

        Raises:
            AuthError: The vendor refuses the credentials.
            ConfigError: There is no way to keep the documents; nothing was announced.
        """
        if self.settings.labels.directory is not None:
            document_store.require(self.account, self.settings.labels.directory)
        totals = LabelTotals()
        while not should_stop():
            with self.database.transaction() as connection:
                claimed = label_requests.claim(
                    connection,
                    self.account,
                    self.run_id,
                    states=("waiting", "sending", "announcing"),
                    documents=True,
                    ids=ids,
                    limit=5 * self.settings.labels.at_once,
                )
            if not claimed:
                break
            with ThreadPoolExecutor(self.settings.labels.at_once, thread_name_prefix="labels") as pool:
                for outcome in [pool.submit(self._work, request, totals) for request in claimed]:
                    outcome.result()
        return totals

    def cancel(self) -> LabelTotals:
        """Takes back the labels whose rows ask for it, and looks after cancellations the carrier has to agree to."""
        totals = LabelTotals()
        with self.database.connect() as connection:
            waiting = label_requests.waiting_to_cancel(connection, self.account)
        for key, state, shipment_id in waiting:
            outcome, message = ("queued", "") if state == "cancelling" else self._ask_cancel(shipment_id)
            if outcome in {"queued", "refused"}:
                outcome = self._cancellation_state(shipment_id, outcome)
            following = {"queued": "cancelling", "refused": "done"}.get(outcome, "cancelled")
            with self.database.transaction() as connection:
                label_requests.cancelled(connection, key, following, outcome, message, look_again_s=LOOK_AGAIN_S)
            totals.cancelling += following == "cancelling"
            totals.refused += following == "done"
            totals.cancelled += following == "cancelled"
        return totals

    # -- one request ------------------------------------------------------------------------------------------------------------

    def _work(self, request: LabelRequest, totals: LabelTotals) -> None:
        try:
            if request.shipment_id is not None:
                self._look_after(request, totals)
            else:
                self._send(request, totals)
        except Throttled as error:
            wait = max(1.0, (error.retry_at - datetime.now(UTC)).total_seconds())
            self._postpone(request, totals, wait, "the account's quota is used up")
        except TransientError as error:
            wait = min(RETRY_S * 2 ** (request.attempts - 1), LONGEST_RETRY_S)
            self._postpone(request, totals, wait, f"no usable answer ({error})")
        except AuthError as error:
            self._postpone(request, totals, LONGEST_RETRY_S, f"the vendor refuses the credentials ({error})")
            raise
        except ValidationError as error:
            self._fail(request, totals, f"the vendor's order or answer cannot be read: {describe(error).text}")
        except RemoteError as error:
            self._fail(request, totals, explain(error.body, status=error.status) if error.body else str(error))

    def _send(self, request: LabelRequest, totals: LabelTotals) -> None:
        if request.was_sent:
            known = self._ask(request)
            if known is not None:
                self._settle(request, known, totals, existed=True)
                return
        order, order_key = self._order(request)
        labels = self.settings.labels
        body, choice = shipment_body(request.wish, order, labels, sender=self._default_sender(labels.sender_address_id))
        with self.database.transaction() as connection:
            is_first = label_requests.mark_sending(
                connection,
                request,
                order_id=order_key[0],
                integration_id=order_key[1],
                order_number=order.order_number,
                option=choice.option,
            )
        if not is_first:
            raise DataError("another request has made a label for this order; set is_additional for a further one")
        try:
            answer = self.client.announce(body, wait=not labels.background, rules=choice.option is None)
        except (Throttled, AuthError) as error:
            with self.database.transaction() as connection:
                label_requests.not_sent(connection, request, RETRY_S, error=type(error).__name__)
            raise
        except TransientError:
            known = self._ask(request)
            if known is None:
                raise
            self._settle(request, known, totals, existed=True)
            return
        self._settle(request, answer.shipment, totals, existed=answer.existed)

    def _ask(self, request: LabelRequest) -> Json | None:
        """The shipment the vendor has under our reference; the filter's answer is checked, since unknown filters are ignored."""
        for page in self.client.shipments(external_reference_id=request.external_reference_id):
            for raw in mapping.split_orders(page.body, mapping.V3):
                found = msgspec.json.decode(raw)
                if found.get("external_reference_id") == request.external_reference_id:
                    return found
            return None
        return None

    def _look_after(self, request: LabelRequest, totals: LabelTotals) -> None:
        """A shipment that exists: is it announced by now, and which documents are missing?"""
        if request.missing_documents:
            self._fetch(request, totals)
            return
        body = self.client.shipment(request.shipment_id or "")
        if body is None:
            raise DataError(f"shipment {request.shipment_id} is gone at the vendor")
        self._settle(request, msgspec.json.decode(body)["data"], totals, existed=False)

    def _settle(self, request: LabelRequest, raw: Json, totals: LabelTotals, *, existed: bool) -> None:
        """Writes what the vendor says about the shipment: request, parcels, orders and the label itself in one transaction."""
        text = encode_json(raw)
        shipment = Shipment.parse(text)
        states = {parcel.status.code for parcel in shipment.parcels}
        faults = "; ".join(fault.detail or fault.code or "no explanation" for fault in shipment.errors)
        if not faults and FAILED in states:
            faults = "; ".join(p.status.message or FAILED for p in shipment.parcels if p.status.code == FAILED)
        labels = self.settings.labels
        with self.database.transaction() as connection:
            self._store_parcels(connection, text, shipment)
            facts: dict[str, Any] = {
                "shipment_id": shipment.id,
                "parcel_ids": [parcel.id for parcel in shipment.parcels],
                "tracking_number": next((parcel.tracking_number for parcel in shipment.parcels if parcel.tracking_number), None),
            }
            if faults:
                label_requests.settle(connection, request, "failed", error=faults, **facts)
                self._count(totals, "failed")
                return
            if states & ANNOUNCING or not states:
                label_requests.settle(connection, request, "announcing", look_again_s=LOOK_AGAIN_S, **facts)
                self._count(totals, "announcing")
                return
            missing = []
            for parcel in shipment.parcels:
                for kind in {document.kind or "label" for document in parcel.documents} | {"label"}:
                    content = _decoded(parcel.label_file) if kind == "label" else None
                    if content is None:
                        missing.append(f"{parcel.id}/{kind}")
                        continue
                    file = File(content, labels.media_type)
                    documents.keep(
                        connection, self.account, parcel.id, kind, file, request_id=request.id, directory=labels.directory
                    )
                    self._count(totals, "documents")
            label_requests.settle(connection, request, "done", missing_documents=missing, **facts)
        self._count(totals, "done")
        if existed:
            self._count(totals, "existing")

    def _fetch(self, request: LabelRequest, totals: LabelTotals) -> None:
        missing = list(request.missing_documents or [])
        labels = self.settings.labels
        for name in list(missing):
            parcel, _, kind = name.partition("/")
            media_type = labels.media_type if kind == "label" else documents.PDF
            file = self.client.document(int(parcel), kind, media_type=media_type, dpi=labels.dpi if kind == "label" else None)
            if file is None:
                self._postpone(
                    request, totals, min(RETRY_S * request.attempts, LONGEST_RETRY_S), f"{kind} of parcel {parcel} is not there yet"
                )
                return
            missing.remove(name)
            with self.database.transaction() as connection:
                documents.keep(connection, self.account, int(parcel), kind, file, request_id=request.id, directory=labels.directory)
                label_requests.settle(connection, request, "done", missing_documents=missing)
            self._count(totals, "documents")

    # -- help -------------------------------------------------------------------------------------------------------------------

    def _order(self, request: LabelRequest) -> tuple[Order, tuple[str, int]]:
        """The one order that is meant, as SendCloud last showed it."""
        with self.database.connect() as connection:
            rows = connection.execute(
                "SELECT order_id, integration_id, raw::text FROM sendcloud.orders WHERE account = %s AND deleted_at IS NULL"
                " AND source = 'v3' AND (%s::text IS NULL OR order_id = %s) AND (%s::text IS NULL OR order_number = %s)"
                " AND (%s::bigint IS NULL OR integration_id = %s) LIMIT 2",
                [
                    self.account,
                    request.order_id,
                    request.order_id,
                    request.order_number,
                    request.order_number,
                    request.integration_id,
                    request.integration_id,
                ],
            ).fetchall()
        if not rows:
            raise DataError("no such order in sendcloud.orders (of v3); was it synced?")
        if len(rows) > 1:
            raise DataError("several orders fit; give order_id and integration_id")
        order_id, integration_id, raw = rows[0]
        return Order.parse(raw.encode()), (order_id, integration_id)

    def _default_sender(self, configured: int | None) -> int:
        if configured is not None:
            return configured
        with self._lock:
            if self._sender is None:
                page = next(self.client.sender_addresses())
                senders = mapping.split_orders(page.body, mapping.V3)
                if not senders:
                    raise ConfigError(f"{self.account} has no sender address; add one in SendCloud", account=self.account)
                self._sender = SenderAddress.parse(senders[0]).id
            return self._sender

    def _store_parcels(self, connection: Connection[Any], text: bytes, shipment: Shipment) -> None:
        now = datetime.now(UTC)
        page = b'{"data":[' + text + b"]}"
        parse = ParseContext(self.account, mapping.V3_SHIPMENTS, now, self.settings)
        records = [mapping.parse_parcel(raw, parse) for raw in mapping.split_parcels(page, mapping.V3_SHIPMENTS)]
        upsert(connection, tables.parcels, records, account=self.account, run_id=self.run_id, now=now)
        context = WriteContext(self.account, self.run_id, now, self.settings)
        matching.follow(connection, context, [shipment.order_number])

    def _ask_cancel(self, shipment_id: str) -> tuple[str, str]:
        answer = self.client.cancel_shipment(shipment_id)
        return answer.outcome, answer.message

    def _cancellation_state(self, shipment_id: str, outcome: str) -> str:
        """What the shipment itself says: a repeated cancellation is refused although the first one worked."""
        body = self.client.shipment(shipment_id)
        if body is None:
            return "gone"
        states = {parcel.status.code for parcel in Shipment.parse(encode_json(msgspec.json.decode(body)["data"])).parcels}
        if states and states <= CANCELLED:
            return "cancelled"
        if states & (CANCELLING | CANCELLED):
            return "queued"
        return "refused" if outcome == "refused" or not states & CANCELLING else outcome

    def _postpone(self, request: LabelRequest, totals: LabelTotals, seconds: float, why: str) -> None:
        with self.database.transaction() as connection:
            label_requests.postpone(connection, request, seconds, error=why)
        self._count(totals, "postponed")

    def _fail(self, request: LabelRequest, totals: LabelTotals, words: str) -> None:
        with self.database.transaction() as connection:
            label_requests.settle(connection, request, "failed", error=words)
        self._count(totals, "failed")

    def _count(self, totals: LabelTotals, what: str) -> None:
        with self._lock:
            setattr(totals, what, getattr(totals, what) + 1)


def _decoded(text: str | None) -> bytes | None:
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
