"""Orders API 2026-01-01 as Amazon answers it: no wrapper, items inline, datasets only when asked for and permitted (facts §5)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sync_pipelines.sandbox.amazon.answers import InvalidInputError, Search, bounds, error, instant, milliseconds, money, read_token
from sync_pipelines.sandbox.amazon.auth import Grant
from sync_pipelines.sandbox.amazon.orders_v0 import STATUS
from sync_pipelines.sandbox.amazon.world import DAY, Item, Order, World

DATASETS = frozenset(
    "BUYER RECIPIENT PROCEEDS EXPENSE PROMOTION CANCELLATION FULFILLMENT PACKAGES TAX PAYMENT FULFILLMENT_ORDERS".split()  # noqa: SIM905
)
_FREE_TO_CHANGE = {"maxResultsPerPage", "includedData", "paginationToken"}


class Orders2026:
    """``searchOrders`` and ``getOrder``."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def search_orders(self, request: Request, grant: Grant) -> Response:
        """``GET /orders/2026-01-01/orders``."""
        query = request.query_params
        now = self._world.clock.now()
        included = _included(query)
        size = _whole(query.get("maxResultsPerPage", "100"))
        search = self._search(request, grant, now)
        page, last = search.page(list(self._world.visible(grant.tenant.name)), size)
        body: dict[str, Any] = {"orders": [render(order, included, has_role=grant.tenant.has_pii_role) for order in page]}
        body["lastUpdatedBefore" if search.by == "updated" else "createdBefore"] = milliseconds(search.before)
        if last is not None:
            body["pagination"] = {"nextToken": search.token(last, now)}
        return JSONResponse(body)

    def _search(self, request: Request, grant: Grant, now: float) -> Search:
        query = request.query_params
        asked = "&".join(sorted(f"{name}={value}" for name, value in query.multi_items() if name not in _FREE_TO_CHANGE))
        if token := query.get("paginationToken"):
            search = read_token(token, grant.tenant.name, now)
            if search.query != asked:
                raise InvalidInputError("Invalid Input", "The pagination token belongs to another request.")
            return search
        given = [name for name in ("createdAfter", "lastUpdatedAfter") if name in query]
        if len(given) != 1:
            raise InvalidInputError("Invalid Input", "Exactly one of createdAfter and lastUpdatedAfter must be provided.")
        family = given[0].removesuffix("After")
        if ("lastUpdated" if family == "created" else "created") + "Before" in query:
            raise InvalidInputError("Invalid Input", "created and lastUpdated parameters exclude each other.")
        before = query.get(f"{family}Before")
        after, until = bounds(instant(query[given[0]], given[0]), None if before is None else instant(before, "Before"), now)
        statuses = _words(query, "fulfillmentStatuses")
        if any(word not in STATUS for word in statuses):
            raise InvalidInputError("Invalid Input", "fulfillmentStatuses has an unknown value.")
        return Search(
            grant.tenant.name,
            "updated" if family == "lastUpdated" else "created",
            after,
            until,
            _words(query, "marketplaceIds"),
            statuses,
            _words(query, "fulfilledBy"),
            asked,
        )

    async def get_order(self, request: Request, grant: Grant) -> Response:
        """``GET /orders/2026-01-01/orders/{orderId}``."""
        included = _included(request.query_params)
        order = self._world.orders.get(request.path_params["order_id"])
        if order is None or order.tenant != grant.tenant.name or order.visible_from > self._world.clock.now():
            return error(404, "NotFound", "The order does not exist")
        return JSONResponse({"order": render(order, included, has_role=grant.tenant.has_pii_role)})


def render(order: Order, included: frozenset[str], *, has_role: bool) -> dict[str, Any]:
    """An order with the asked datasets; personal data is left out without the role, and the call still succeeds."""
    body: dict[str, Any] = {
        "orderId": order.id,
        "orderAliases": [{"aliasId": order.seller_order_id, "aliasType": "SELLER_ORDER_ID"}],
        "createdTime": milliseconds(order.created),
        "lastUpdatedTime": milliseconds(order.updated),
        "programs": order.programs,
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": order.marketplace.id,
            "marketplaceName": order.marketplace.name,
        },
        "orderItems": [_render_item(order, item, included) for item in order.items],
    }
    if "BUYER" in included and has_role:
        body["buyer"] = {"buyerName": order.buyer_name}
        if order.fulfilled_by == "MERCHANT" and order.status in {"UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED"}:
            body["buyer"]["buyerEmail"] = order.buyer_email
    if "RECIPIENT" in included and has_role:
        address = order.address
        body["recipient"] = {
            "deliveryAddress": {
                "name": address["name"],
                "addressLine1": address["line1"],
                "city": address["city"],
                "stateOrRegion": address["region"],
                "postalCode": address["postal_code"],
                "countryCode": address["country"],
                "phone": address["phone"],
                "addressType": "RESIDENTIAL",
            }
        }
    if "PROCEEDS" in included and order.has_prices:
        body["proceeds"] = {"grandTotal": _money(order, order.total)}
    if "FULFILLMENT" in included:
        body["fulfillment"] = {
            "fulfillmentStatus": order.status,
            "fulfilledBy": order.fulfilled_by,
            "fulfillmentServiceLevel": "STANDARD",
            "shipByWindow": {
                "earliestDateTime": milliseconds(order.created),
                "latestDateTime": milliseconds(order.created + 2 * DAY),
            },
        }
    if "PACKAGES" in included and order.fulfilled_by == "MERCHANT" and order.status == "SHIPPED":
        body["packages"] = [
            {
                "packageReferenceId": "1",
                "packageStatus": {"status": "SHIPPED"},
                "carrier": "Example Post",
                "trackingNumber": f"TRACK{order.id[-7:]}",
                "packageItems": [{"orderItemId": item.id, "quantity": item.quantity} for item in order.items],
            }
        ]
    return body


def _render_item(order: Order, item: Item, included: frozenset[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "orderItemId": item.id,
        "quantityOrdered": item.quantity,
        "product": {
            "asin": item.asin,
            "title": item.title,
            "sellerSku": item.sku,
            "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
        },
    }
    if order.has_prices:
        body["product"]["price"] = {"unitPrice": _money(order, item.unit_price)}
    if "PROCEEDS" in included and order.has_prices:
        body["proceeds"] = _proceeds(order, item)
    if "PROMOTION" in included and item.discount:
        body["promotion"] = {"breakdowns": [{"promotionId": "SANDBOX-PROMOTION"}]}
    if "CANCELLATION" in included and order.cancelled_by:
        body["cancellation"] = {"cancellationExecution": {"cancelledBy": order.cancelled_by, "cancelReason": "NO_REASON"}}
    if "FULFILLMENT" in included:
        unfulfilled = 0 if order.status == "CANCELLED" else item.quantity - item.shipped
        body["fulfillment"] = {"quantityFulfilled": item.shipped, "quantityUnfulfilled": unfulfilled}
        if item.is_gift:
            body["fulfillment"]["packing"] = {"giftOption": {"giftMessage": "With best wishes", "giftWrapLevel": "Classic"}}
    return body


def _proceeds(order: Order, item: Item) -> dict[str, Any]:
    """Money of a line; TAX and DISCOUNT sum up several amounts and show each in their details (facts §5.4)."""

    def detailed(kind: str, parts: dict[str, int]) -> dict[str, Any]:
        details = [{"subtype": subtype, "value": _money(order, amount)} for subtype, amount in parts.items()]
        return {"type": kind, "subtotal": _money(order, sum(parts.values())), "detailedBreakdowns": details}

    breakdowns = [
        {"type": "ITEM", "subtotal": _money(order, item.price)},
        {"type": "SHIPPING", "subtotal": _money(order, item.shipping)},
        detailed("TAX", {"ITEM": item.tax, "SHIPPING": item.shipping_tax}),
        detailed("DISCOUNT", {"ITEM": item.discount, "SHIPPING": item.shipping_discount}),
    ]
    return {"proceedsTotal": _money(order, item.total), "breakdowns": breakdowns}


def _money(order: Order, minor: int) -> dict[str, str]:
    return {"amount": money(minor), "currencyCode": order.marketplace.currency}


def _words(query: Any, name: str) -> tuple[str, ...]:
    return tuple(word for value in query.getlist(name) for word in value.split(",") if word)


def _included(query: Any) -> frozenset[str]:
    included = frozenset(_words(query, "includedData"))
    if included - DATASETS:
        raise InvalidInputError("Invalid Input", "includedData has an unknown value.")
    return included


def _whole(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise InvalidInputError("Invalid Input", "maxResultsPerPage must be between 1 and 100.")
    return int(text)
