"""Reports API 2021-06-30 with the one report used here: all orders by last update, one row per line (facts §9)."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sync_pipelines.sandbox.amazon.answers import InvalidInputError, error, instant, milliseconds, money
from sync_pipelines.sandbox.amazon.auth import Grant
from sync_pipelines.sandbox.amazon.world import DAY, Item, Order, World

REPORT_TYPE = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
URL_LIFETIME = 300.0
LONGEST = 30 * DAY
COLUMNS = tuple(
    """
    amazon-order-id merchant-order-id purchase-date last-updated-date order-status fulfillment-channel sales-channel order-channel
    ship-service-level product-name sku asin item-status quantity currency item-price item-tax shipping-price shipping-tax
    gift-wrap-price gift-wrap-tax item-promotion-discount ship-promotion-discount ship-city ship-state ship-postal-code
    ship-country promotion-ids is-business-order purchase-order-number price-designation signature-confirmation-recommended
    """.split()  # noqa: SIM905
)
_STATUS = {
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "PARTIALLY_SHIPPED": "Partially Shipped",
    "SHIPPED": "Shipped",
    "CANCELLED": "Cancelled",
}


@dataclass
class Report:
    """One requested report; it is made when it is read for the third time."""

    id: str
    tenant: str
    marketplaces: tuple[str, ...]
    start: float
    end: float
    created: float
    outcome: str
    reads: int = 0
    content: bytes | None = None

    @property
    def status(self) -> str:
        """Processing status as of now."""
        return ("IN_QUEUE", "IN_PROGRESS")[self.reads - 1] if self.reads <= 2 else self.outcome


class Reports:
    """Create, follow, fetch; documents are downloaded without a token from a URL that dies after five minutes.

    Attributes:
        next_outcome: How the next report ends (``DONE``, ``FATAL``, ``CANCELLED``).
        with_item_ids: Some sellers get an undocumented column ``order-item-id``.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._reports: dict[str, Report] = {}
        self._urls: dict[str, tuple[str, float]] = {}
        self.next_outcome = "DONE"
        self.with_item_ids = False

    async def create(self, request: Request, grant: Grant) -> Response:
        """``POST /reports/2021-06-30/reports``."""
        body = await request.json()
        if body.get("reportType") != REPORT_TYPE or not body.get("marketplaceIds"):
            raise InvalidInputError("Invalid input", "Unknown report type or no marketplace.")
        now = self._world.clock.now()
        start = instant(body["dataStartTime"], "dataStartTime") if "dataStartTime" in body else now
        end = min(now, instant(body["dataEndTime"], "dataEndTime") if "dataEndTime" in body else now)
        if end < start or end - start > LONGEST:
            raise InvalidInputError("Invalid input", "The time range is too long or ends before it starts.")
        report_id = f"{50_000 + len(self._reports)}020000"
        marketplaces = tuple(body["marketplaceIds"])
        self._reports[report_id] = Report(report_id, grant.tenant.name, marketplaces, start, end, now, self.next_outcome)
        self.next_outcome = "DONE"
        return JSONResponse({"reportId": report_id}, status_code=202)

    async def get(self, request: Request, grant: Grant) -> Response:
        """``GET /reports/2021-06-30/reports/{reportId}``."""
        report = self._reports.get(request.path_params["report_id"])
        if report is None or report.tenant != grant.tenant.name:
            return error(404, "NotFound", "The report does not exist")
        report.reads += 1
        if report.reads == 3 and report.outcome == "DONE":
            report.content = self._content(report)
            if report.content is None:
                report.outcome = "CANCELLED"
        body: dict[str, Any] = {
            "reportId": report.id,
            "reportType": REPORT_TYPE,
            "marketplaceIds": list(report.marketplaces),
            "dataStartTime": milliseconds(report.start),
            "dataEndTime": milliseconds(report.end),
            "createdTime": milliseconds(report.created),
            "processingStatus": report.status,
        }
        if report.status == "DONE":
            body["reportDocumentId"] = f"amzn1.spdoc.1.{report.id}"
        return JSONResponse(body)

    async def document(self, request: Request, grant: Grant) -> Response:
        """``GET /reports/2021-06-30/documents/{reportDocumentId}``: every second report is compressed."""
        document_id = request.path_params["document_id"]
        report = self._reports.get(document_id.rpartition(".")[2])
        if report is None or report.content is None or report.tenant != grant.tenant.name:
            return error(404, "NotFound", "The document does not exist")
        ticket = f"{report.id}-{len(self._urls)}"
        self._urls[ticket] = (report.id, self._world.clock.now() + URL_LIFETIME)
        path = f"{request.scope.get('root_path', '')}/documents/{ticket}"
        body = {"reportDocumentId": document_id, "url": str(request.url.replace(path=path, query=""))}
        return JSONResponse(body | ({"compressionAlgorithm": "GZIP"} if _is_compressed(report) else {}))

    async def download(self, request: Request) -> Response:
        """The presigned URL of a document."""
        report_id, expires_at = self._urls.get(request.path_params["ticket"], ("", 0.0))
        if expires_at <= self._world.clock.now():
            return Response(b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", 403)
        report = self._reports[report_id]
        content = report.content or b""
        return Response(gzip.compress(content) if _is_compressed(report) else content, media_type="text/plain; charset=ISO-8859-1")

    def _content(self, report: Report) -> bytes | None:
        orders = [
            order
            for order in self._world.visible(report.tenant)
            if order.marketplace.id in report.marketplaces and report.start <= order.updated <= report.end
        ]
        if not orders:
            return None
        columns = [*COLUMNS, "order-item-id"] if self.with_item_ids else list(COLUMNS)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\r\n", restval="")
        writer.writeheader()
        for order in sorted(orders, key=lambda order: order.updated, reverse=True):
            for item in order.items:
                row = _row(order, item)
                writer.writerow(row | ({"order-item-id": item.id} if self.with_item_ids else {}))
        return text.getvalue().encode("iso-8859-1")


def _is_compressed(report: Report) -> bool:
    return int(report.id[:5]) % 2 == 0


def _row(order: Order, item: Item) -> dict[str, str]:
    row = {
        "amazon-order-id": order.id,
        "merchant-order-id": order.seller_order_id,
        "purchase-date": _instant(order.created),
        "last-updated-date": _instant(order.updated),
        "order-status": _STATUS.get(order.status, order.status.title()),
        "fulfillment-channel": order.fulfilled_by.title(),
        "sales-channel": order.marketplace.name,
        "ship-service-level": "Standard",
        "product-name": item.title,
        "sku": item.sku,
        "asin": item.asin,
        "item-status": "Shipped"
        if item.shipped == item.quantity
        else ("Cancelled" if order.status == "CANCELLED" else "Unshipped"),
        "quantity": str(item.quantity),
        "ship-city": order.address["city"],
        "ship-state": order.address["region"],
        "ship-postal-code": order.address["postal_code"],
        "ship-country": order.address["country"],
        "is-business-order": str("AMAZON_BUSINESS" in order.programs).lower(),
        "signature-confirmation-recommended": "false",
    }
    if order.has_prices:
        row |= {
            "currency": order.marketplace.currency,
            "item-price": money(item.price),
            "item-tax": money(item.tax),
            "shipping-price": money(item.shipping),
            "shipping-tax": money(item.shipping_tax),
            "item-promotion-discount": money(item.discount),
            "ship-promotion-discount": money(item.shipping_discount),
        }
    return row


def _instant(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat()
