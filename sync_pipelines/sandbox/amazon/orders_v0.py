"""Orders API v0 as Amazon answers it: ``payload`` wrapper, no prices while pending, personal data only with an RDT (facts §4)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sync_pipelines.sandbox.amazon.answers import InvalidInputError, Search, bounds, error, instant, money, read_token, seconds
from sync_pipelines.sandbox.amazon.auth import Grant, sees
from sync_pipelines.sandbox.amazon.world import DAY, Item, Order, World

STATUS = {
    "PENDING_AVAILABILITY": "PendingAvailability",
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "PARTIALLY_SHIPPED": "PartiallyShipped",
    "SHIPPED": "Shipped",
    "CANCELLED": "Canceled",
    "UNFULFILLABLE": "Unfulfillable",
}
_STATUS_BACK = {word: ours for ours, word in STATUS.items()} | {"InvoiceUnconfirmed": "INVOICE_UNCONFIRMED"}
_CHANNEL = {"AMAZON": "AFN", "MERCHANT": "MFN"}
_CHANNEL_BACK = {word: ours for ours, word in _CHANNEL.items()}
_ADDRESS_SHOWN = {"UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED"}
LIST_PATH = "/orders/v0/orders"


class OrdersV0:
    """The six reads of v0 that matter here."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.item_page_size = 50
        """Amazon's own is not documented."""

    async def get_orders(self, request: Request, grant: Grant) -> Response:
        """``GET /orders/v0/orders``."""
        query = request.query_params
        now = self._world.clock.now()
        search = self._search(request, grant, now)
        size = _whole(query.get("MaxResultsPerPage", "100"))
        page, last = search.page(list(self._world.visible(grant.tenant.name)), size)
        payload: dict[str, Any] = {"Orders": [render_order(order, grant) for order in page]}
        payload["LastUpdatedBefore" if search.by == "updated" else "CreatedBefore"] = seconds(search.before)
        if last is not None:
            payload["NextToken"] = search.token(last, now)
        return JSONResponse({"payload": payload})

    def _search(self, request: Request, grant: Grant, now: float) -> Search:
        query = request.query_params
        if not query.get("MarketplaceIds"):
            raise InvalidInputError(None if "NextToken" in query else "MarketplaceIds is required")
        marketplaces = _words(query, "MarketplaceIds")
        given = [name for name in ("CreatedAfter", "LastUpdatedAfter") if name in query]
        if "NextToken" in query:
            search = read_token(query["NextToken"], grant.tenant.name, now)
            if search.marketplaces != marketplaces or search.query != "v0":
                raise InvalidInputError(None)
            return search
        if len(given) != 1:
            raise InvalidInputError("Either the CreatedAfter or the LastUpdatedAfter parameter must be specified, not both")
        family = given[0].removesuffix("After")
        if ("LastUpdated" if family == "Created" else "Created") + "Before" in query:
            raise InvalidInputError("Created and LastUpdated parameters exclude each other")
        before = query.get(f"{family}Before")
        after, until = bounds(instant(query[given[0]], given[0]), None if before is None else instant(before, "Before"), now)
        return Search(
            grant.tenant.name,
            "updated" if family == "LastUpdated" else "created",
            after,
            until,
            marketplaces,
            tuple(_translated(_words(query, "OrderStatuses"), _STATUS_BACK)),
            tuple(_translated(_words(query, "FulfillmentChannels"), _CHANNEL_BACK)),
            "v0",
        )

    async def get_order(self, request: Request, grant: Grant) -> Response:
        """``GET /orders/v0/orders/{orderId}``."""
        order = self._find(request, grant)
        if order is None:
            return error(404, "NotFound", "The order does not exist")
        return JSONResponse({"payload": render_order(order, grant, path=f"{LIST_PATH}/{order.id}")})

    async def get_order_items(self, request: Request, grant: Grant) -> Response:
        """``GET /orders/v0/orders/{orderId}/orderItems``."""
        order = self._find(request, grant)
        if order is None:
            return error(404, "NotFound", "The order does not exist")
        start = 0
        if token := request.query_params.get("NextToken"):
            prefix, _, offset = token.partition("+")
            if prefix != order.id or not offset.isdigit():
                raise InvalidInputError(None)
            start = int(offset)
        end = start + self.item_page_size
        sees_buyer = sees(grant, f"{LIST_PATH}/{order.id}/orderItems", "buyerInfo")
        items = [render_item(order, item, sees_buyer=sees_buyer) for item in order.items[start:end]]
        payload: dict[str, Any] = {"AmazonOrderId": order.id, "OrderItems": items}
        if end < len(order.items):
            payload["NextToken"] = f"{order.id}+{end}"
        return JSONResponse({"payload": payload})

    def _find(self, request: Request, grant: Grant) -> Order | None:
        order = self._world.orders.get(request.path_params["order_id"])
        return order if order and order.tenant == grant.tenant.name and order.visible_from <= self._world.clock.now() else None


def render_order(order: Order, grant: Grant, *, path: str = LIST_PATH) -> dict[str, Any]:
    """An order in v0's words; without a restricted token only the coarse parts of address and buyer (facts §2.4)."""
    shipped = sum(item.shipped for item in order.items)
    body: dict[str, Any] = {
        "AmazonOrderId": order.id,
        "SellerOrderId": order.seller_order_id,
        "PurchaseDate": seconds(order.created),
        "LastUpdateDate": seconds(order.updated),
        "OrderStatus": STATUS[order.status],
        "FulfillmentChannel": _CHANNEL[order.fulfilled_by],
        "SalesChannel": order.marketplace.name,
        "ShipServiceLevel": "Std Domestic",
        "NumberOfItemsShipped": shipped,
        "NumberOfItemsUnshipped": 0 if order.status == "CANCELLED" else sum(item.quantity for item in order.items) - shipped,
        "PaymentMethod": "Other",
        "PaymentMethodDetails": ["Standard"],
        "MarketplaceId": order.marketplace.id,
        "ShipmentServiceLevelCategory": "Standard",
        "OrderType": "StandardOrder",
        "EarliestShipDate": seconds(order.created),
        "LatestShipDate": seconds(order.created + 2 * DAY),
        "IsBusinessOrder": "AMAZON_BUSINESS" in order.programs,
        "IsPrime": "PRIME" in order.programs,
        "IsPremiumOrder": False,
        "IsReplacementOrder": False,
        "IsSoldByAB": False,
        "HasRegulatedItems": False,
        "BuyerInfo": {"BuyerEmail": order.buyer_email},
    }
    if order.has_prices:
        body["OrderTotal"] = {"CurrencyCode": order.marketplace.currency, "Amount": money(order.total)}
    if sees(grant, path, "buyerInfo"):
        body["BuyerInfo"] = {"BuyerEmail": order.buyer_email, "BuyerName": order.buyer_name}
    if order.status in _ADDRESS_SHOWN:
        address = order.address
        body["ShippingAddress"] = {
            "City": address["city"],
            "StateOrRegion": address["region"],
            "PostalCode": address["postal_code"],
            "CountryCode": address["country"],
        }
        if sees(grant, path, "shippingAddress"):
            body["ShippingAddress"] |= {"Name": address["name"], "AddressLine1": address["line1"], "Phone": address["phone"]}
    return body


def render_item(order: Order, item: Item, *, sees_buyer: bool) -> dict[str, Any]:
    """A line in v0's words: text for numbers of items and for booleans, no prices while pending."""
    body: dict[str, Any] = {
        "ASIN": item.asin,
        "OrderItemId": item.id,
        "SellerSKU": item.sku,
        "Title": item.title,
        "QuantityOrdered": item.quantity,
        "QuantityShipped": item.shipped,
        "ProductInfo": {"NumberOfItems": "1"},
        "IsGift": "true" if item.is_gift else "false",
        "ConditionId": "New",
        "ConditionSubtypeId": "New",
        "IsTransparency": False,
        "BuyerRequestedCancel": {"IsBuyerRequestedCancel": "false", "BuyerCancelReason": ""},
    }
    if order.has_prices:
        amounts = {
            "ItemPrice": item.price,
            "ItemTax": item.tax,
            "ShippingPrice": item.shipping,
            "ShippingTax": item.shipping_tax,
            "ShippingDiscount": item.shipping_discount,
            "PromotionDiscount": item.discount,
        }
        body |= {name: {"CurrencyCode": order.marketplace.currency, "Amount": money(amount)} for name, amount in amounts.items()}
    if sees_buyer and item.is_gift:
        body["BuyerInfo"] = {"GiftMessageText": "With best wishes", "GiftWrapLevel": "Classic"}
    return body


def _words(query: Any, name: str) -> tuple[str, ...]:
    return tuple(word for value in query.getlist(name) for word in value.split(",") if word)


def _translated(words: tuple[str, ...], known: dict[str, str]) -> list[str]:
    if unknown := [word for word in words if word not in known]:
        raise InvalidInputError("Invalid Input", f"{unknown[0]} is not a valid value")
    return [known[word] for word in words]


def _whole(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise InvalidInputError("Invalid Input", "MaxResultsPerPage must be between 1 and 100")
    return int(text)
