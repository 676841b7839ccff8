"""SendCloud over HTTP: pages with their cursors, single objects, documents, and everything we may change there.

Knows no database and decides nothing: bodies go out as bytes so that they are archived as received, and every list tells how to
resume it. Writes that must not happen twice are marked so; whoever calls them records the intent first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import httpx

from sync_pipelines.core.budget import BucketSpec
from sync_pipelines.core.errors import SyncError, TransientError
from sync_pipelines.core.http import CallStats, HttpClient, Response
from sync_pipelines.core.jsons import Json
from sync_pipelines.core.oauth import BuildRequest, form_request
from sync_pipelines.vendors.sendcloud.addresses import given, segment
from sync_pipelines.vendors.sendcloud.faults import explain, parse_faults, still_processing
from sync_pipelines.vendors.sendcloud.paging import ListPage, Lists, breach

READS, WRITES, WRITE_BURST = "reads", "writes", "write_burst"
DEFAULT_AUTH_URL = "https://account.sendcloud.com/oauth2/token"


def buckets(*, reads_per_minute: int = 1000, writes_per_minute: int = 100, writes_per_second: int = 15) -> tuple[BucketSpec, ...]:
    """Quotas of one SendCloud account over all its keys; the defaults are the vendor's (facts §2)."""
    return (
        BucketSpec.per_minute(READS, reads_per_minute),
        BucketSpec.per_window(WRITES, writes_per_minute, 60.0, burst=min(15, writes_per_minute)),
        BucketSpec.per_window(WRITE_BURST, writes_per_second, 1.0, burst=max(1.0, writes_per_second / 3)),
    )


BUCKETS = buckets()
"""The vendor's documented quotas."""

ORDERS_PAGE, PARCELS_PAGE, SHIPMENTS_PAGE = 100, 100, 100
ORDERS_BATCH = 100
SHIP_ORDERS_BATCH = 20
DOCUMENTS_BATCH = 20
IDS_BATCH = 100

MEDIA_TYPES = ("application/pdf", "application/zpl", "image/png")

_WRITE = (WRITES, WRITE_BURST)


@dataclass(frozen=True)
class Announcement:
    """The answer to a request for a label: the shipment's JSON, and whether it existed before (409)."""

    shipment: Json
    existed: bool


@dataclass(frozen=True)
class Cancellation:
    """The answer to a cancellation.

    Attributes:
        outcome: ``cancelled``, ``queued``, ``deleted``, ``refused`` or ``gone`` (unknown to the vendor).
        message: The vendor's words.
    """

    outcome: str
    message: str


@dataclass(frozen=True)
class File:
    """A document's bytes and media type."""

    content: bytes
    media_type: str


class SendCloudClient:
    """All calls to one account. ``http`` has ``…/api`` as base address, `BUCKETS` as budget and `classify` as its reading."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http
        self._lists = Lists(http.account, self._get)

    @property
    def stats(self) -> CallStats:
        """Counts of this client's calls."""
        return self.http.stats

    # -- orders -----------------------------------------------------------------------------------------------------------------

    def orders(
        self,
        *,
        cursor: str | None = None,
        created: tuple[date | None, date | None] = (None, None),
        updated: tuple[date | None, date | None] = (None, None),
        integrations: Sequence[int] = (),
        order_number: str | None = None,
        order_id: str | None = None,
        sort: str | None = None,
        page_size: int = ORDERS_PAGE,
    ) -> Iterator[ListPage]:
        """V3 orders, page by page.

        Args:
            cursor: Of the page to begin with; the other arguments must be those it was given for.
            created: First and last UTC day of the shop's creation time, both included.
            updated: The same for the shop's change time; orders without one never match.
            integrations: Only these.
            order_number: Exact, not unique across integrations.
            order_id: Exact, the shop's.
            sort: Such as ``order_updated_at`` or ``-pk`` (the vendor's default: newest first).
            page_size: 1 to 200.
        """
        params = given(
            integration=",".join(map(str, integrations)),
            order_created_at_min=created[0],
            order_created_at_max=created[1],
            order_updated_at_min=updated[0],
            order_updated_at_max=updated[1],
            order_number=order_number,
            order_id=order_id,
            sort=sort,
            page_size=page_size,
        )
        return self._lists.v3("v3/orders", params, cursor)

    def order(self, key: str) -> bytes | None:
        """One V3 order as received (``{"data": …}``), by SendCloud's id; ``None`` if it is gone."""
        return self._one(f"v3/orders/{int(key)}")

    def upsert_orders(self, orders: Sequence[Json]) -> Json:
        """Creates or updates up to 100 orders, all or none; stored only some time after the answer (facts §3.5).

        Returns:
            ``{"data": [{"id", "order_id", "order_number"}, …]}``.

        Raises:
            DataError: One order is refused, and so are all; `parse_faults` of its body says which.
        """
        if not 0 < len(orders) <= ORDERS_BATCH:
            raise ValueError(f"1 to {ORDERS_BATCH} orders a call")
        return self._write("POST", "v3/orders", json=list(orders)).json()

    def patch_order(self, key: str, change: Json) -> Json:
        """Changes fields of an order; items are matched by name and can be neither added nor removed."""
        return self._write("PATCH", f"v3/orders/{int(key)}", json=change).json()

    def delete_order(self, key: str) -> bool:
        """Deletes an order; ``False`` if it was gone already."""
        return self._write("DELETE", f"v3/orders/{int(key)}", expect=(404,)).status != 404

    # -- V2 parcels -------------------------------------------------------------------------------------------------------------

    def parcels(
        self,
        *,
        cursor: str | None = None,
        updated_after: datetime | None = None,
        announced_after: datetime | None = None,
        order_number: str | None = None,
        ids: Sequence[int] = (),
    ) -> Iterator[ListPage]:
        """V2 parcels, newest id first, 100 a page; the filters exclude the given instant itself."""
        params = given(
            updated_after=updated_after, announced_after=announced_after, order_number=order_number, ids=",".join(map(str, ids))
        )
        return self._lists.v2("v2/parcels", params, cursor)

    def parcel(self, key: int) -> bytes | None:
        """One V2 parcel as received (``{"parcel": …}``); ``None`` if it is gone."""
        return self._one(f"v2/parcels/{key}")

    def order_blobs(
        self, integration: int, *, cursor: str | None = None, created_from: date | None = None, created_to: date | None = None
    ) -> Iterator[ListPage]:
        """V2's imported orders of one integration: shop order, status and ``shipment_uuid`` (the V2 way from parcel to order)."""
        params = given(start_date=created_from, end_date=created_to)
        return self._lists.v2(f"v2/integrations/{integration}/shipments", params, cursor)

    def cancel_parcel(self, key: int) -> Cancellation:
        """Takes a V2 parcel's label back; cancelling one parcel of several cancels all (facts §8.15)."""
        response = self._write("POST", f"v2/parcels/{key}/cancel", expect=(400, 404, 410))
        return _cancellation(response)

    # -- V3 shipments -----------------------------------------------------------------------------------------------------------

    def shipments(
        self,
        *,
        cursor: str | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        announced_after: datetime | None = None,
        order_number: str | None = None,
        external_reference_id: str | None = None,
        integration: int | None = None,
        parcel_ids: Sequence[int] = (),
        page_size: int = SHIPMENTS_PAGE,
    ) -> Iterator[ListPage]:
        """V3 shipments, page by page; ``updated_after`` is a datetime filtered by the server, the best one this API has."""
        params = given(
            updated_after=updated_after,
            updated_before=updated_before,
            announced_after=announced_after,
            order_number=order_number,
            external_reference_id=external_reference_id,
            integration_id=integration,
            ids=",".join(map(str, parcel_ids)),
            page_size=page_size,
        )
        return self._lists.v3("v3/shipments", params, cursor)

    def shipment(self, key: str) -> bytes | None:
        """One V3 shipment as received (``{"data": …}``); ``None`` if it is gone."""
        return self._one(f"v3/shipments/{segment(key)}")

    def announce(self, request: Json, *, wait: bool = True, rules: bool = False) -> Announcement:
        """Asks for labels. Side effect: never repeated by us once it may have arrived.

        Args:
            request: The shipment (facts §5.1); carry ``external_reference_id``, the only help against doing it twice.
            wait: The vendor answers with the label (at most 15 parcels); otherwise it goes on in the background (at most 50).
            rules: The account's shipping rules and defaults fill in what is missing.

        Returns:
            The shipment, new or (409) existing. Its ``errors`` say that it failed although the answer is 201.

        Raises:
            UnclearOutcome: No answer; ask by ``external_reference_id``.
            DataError: Refused.
        """
        paths = {
            (True, False): "announce",
            (False, False): "",
            (True, True): "announce-with-shipping-rules",
            (False, True): "create-with-shipping-rules",
        }
        path = f"v3/shipments/{paths[wait, rules]}".rstrip("/")
        response = self._write("POST", path, json=request, expect=(409,), side_effect=True)
        body = response.json()
        shipment = body.get("data") if isinstance(body, dict) else None
        if not isinstance(shipment, dict):
            raise breach(self.http.account, f"POST {path} answers HTTP {response.status} without a shipment", response)
        return Announcement(shipment, existed=response.status == 409)

    def ship_orders(self, request: Json) -> Json:
        """Labels for up to 20 stored orders, in the background; each is named by ``order_id`` or ``order_number``, not both.

        Returns:
            ``{"data": […], "errors": […]}``; either may be missing, whatever the status says (facts §5.2).
        """
        if not 0 < len(request["orders"]) <= SHIP_ORDERS_BATCH:
            raise ValueError(f"1 to {SHIP_ORDERS_BATCH} orders a call")
        return self._write("POST", "v3/orders/create-labels-async", json=request, side_effect=True).json()

    def ship_order(self, request: Json) -> Json:
        """Label for one stored order, with the file: ``data`` is an object or a list of one (facts §5.2)."""
        return self._write("POST", "v3/orders/create-label-sync", json=request, side_effect=True).json()

    def cancel_shipment(self, key: str) -> Cancellation:
        """Takes a shipment's labels back."""
        return _cancellation(self._write("POST", f"v3/shipments/{segment(key)}/cancel", expect=(404, 409, 410)))

    # -- documents and tracking -------------------------------------------------------------------------------------------------

    def document(
        self,
        parcel: int,
        kind: str = "label",
        *,
        media_type: str = MEDIA_TYPES[0],
        dpi: int | None = None,
        paper_size: str | None = None,
    ) -> File | None:
        """A parcel's document; ``None`` if there is none."""
        return self._file(f"v3/parcels/{parcel}/documents/{segment(kind)}", given(dpi=dpi, paper_size=paper_size), media_type)

    def documents(self, parcels: Sequence[int], kind: str = "label", *, media_type: str = MEDIA_TYPES[0]) -> File | None:
        """The documents of up to 20 parcels as one file."""
        if not 0 < len(parcels) <= DOCUMENTS_BATCH:
            raise ValueError(f"1 to {DOCUMENTS_BATCH} parcels a call")
        return self._file(f"v3/parcel-documents/{segment(kind)}", [("parcels", str(parcel)) for parcel in parcels], media_type)

    def tracking(self, number: str) -> bytes | None:
        """V3 tracking of a parcel as received (no envelope); ``None`` if the vendor does not know it."""
        return self._one(f"v3/parcels/tracking/{segment(number)}")

    # -- reference data ---------------------------------------------------------------------------------------------------------

    def auth_metadata(self) -> Json:
        """Whose key this is: ``{"user_id", "integration_id"}``. The cheapest test of credentials."""
        return self._get_json("v3/user/auth/metadata")["data"]

    def integrations(self) -> bytes:
        """V3 integrations as received (``{"data": […]}``)."""
        return self._get("v3/integrations").body

    def v2_integrations(self) -> bytes:
        """V2 integrations as received (a bare array)."""
        return self._get("v2/integrations").body

    def carriers(self) -> bytes:
        """V2 service-point carriers as received (a bare array of codes); there is no general list (facts §6.3)."""
        return self._get("v2/carriers").body

    def contracts(self, *, cursor: str | None = None) -> Iterator[ListPage]:
        """V3 carrier contracts."""
        return self._lists.v3("v3/contracts", [], cursor)

    def sender_addresses(self, *, cursor: str | None = None) -> Iterator[ListPage]:
        """V3 sender addresses."""
        return self._lists.v3("v3/addresses/sender-addresses", [], cursor)

    def shipping_methods(self, *, sender_address: int | None = None) -> bytes:
        """All V2 shipping methods as received (``{"shipping_methods": […]}``)."""
        return self._get("v2/shipping_methods", given(sender_address=sender_address or "all")).body

    def shipping_options(self, criteria: Mapping[str, Json] | None = None) -> bytes:
        """V3 shipping options as received (``{"data": […]}``); a POST that only reads, counted as a write."""
        return self._write("POST", "v3/shipping-options", json=dict(criteria or {})).body

    def method_codes(self, methods: Sequence[int]) -> dict[int, str | None]:
        """V3 shipping option codes of up to 100 V2 method ids."""
        if not 0 < len(methods) <= IDS_BATCH:
            raise ValueError(f"1 to {IDS_BATCH} methods a call")
        codes = self._write("POST", "v3/compat/shipping-options", json={"shipping_method_ids": list(methods)}).json()["data"]
        return {int(method): None if code in (None, "null") else str(code) for method, code in codes.items()}

    def parcel_statuses(self) -> bytes:
        """V3 parcel statuses as received (``{"data": […]}``)."""
        return self._get("v3/parcels/statuses").body

    def v2_parcel_statuses(self) -> bytes:
        """V2 parcel statuses as received (a bare array)."""
        return self._get("v2/parcels/statuses").body

    # -- how ----------------------------------------------------------------------------------------------------------------------

    def _get(self, path: str, params: list[tuple[str, str]] | None = None, *, expect: Collection[int] = ()) -> Response:
        return self.http.request("GET", path, params=params, buckets=(READS,), expect=expect)

    def _get_json(self, path: str) -> Json:
        response = self._get(path)
        body = response.json()
        if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
            raise breach(self.http.account, f"GET {path} answers without data", response)
        return body

    def _one(self, path: str) -> bytes | None:
        response = self._get(path, expect=(404,))
        return None if response.status == 404 else response.body

    def _write(
        self, method: str, path: str, *, json: Json = None, expect: Collection[int] = (), side_effect: bool = False
    ) -> Response:
        return self.http.request(method, path, json=json, buckets=_WRITE, expect=expect, side_effect=side_effect)

    def _file(self, path: str, params: list[tuple[str, str]], media_type: str) -> File | None:
        response = self.http.request(
            "GET", path, params=params, headers={"Accept": media_type}, buckets=(READS,), expect=(404,), answer="any"
        )
        if response.status == 404:
            return None
        received = response.headers.get("content-type", "").partition(";")[0].strip() or media_type
        if not response.body or received not in MEDIA_TYPES:
            raise breach(self.http.account, f"GET {path} answers with {received or 'nothing'} instead of a document", response)
        return File(response.body, received)


def classify(response: Response) -> SyncError | None:
    """SendCloud's own meanings: a batch refused because one of its orders is still being stored succeeds a little later."""
    if response.status == 400 and still_processing(parse_faults(response.body)):
        return TransientError("the vendor is still storing one of these orders", status=400, body=response.body)
    return None


def basic_auth(public_key: str, secret_key: str) -> httpx.Auth:
    """HTTP Basic with an integration's key pair."""
    return httpx.BasicAuth(public_key, secret_key)


def token_request(auth_url: str, public_key: str, secret_key: str) -> BuildRequest:
    """OAuth client credentials with the same key pair, for `core.oauth.OAuthRefresh`; an account can be OAuth only (facts §1.2)."""
    return form_request(auth_url, {"grant_type": "client_credentials"}, basic=(public_key, secret_key))


def _cancellation(response: Response) -> Cancellation:
    body = response.json() if response.body else {}
    data = body.get("data", body) if isinstance(body, dict) else {}
    message = str(data.get("message") or explain(response.body, status=response.status))
    outcomes = {200: str(data.get("status") or "cancelled"), 202: "queued", 404: "gone", 410: "deleted"}
    return Cancellation(outcomes.get(response.status, "refused"), message)
