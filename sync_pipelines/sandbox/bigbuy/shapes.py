"""BigBuy's JSON objects, with the types its production API was seen to send (``facts.md`` 5 and 7)."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.bigbuy.world import COLOURS, FIRST_PRODUCT_ID, Order, World, roll, variations_of

Object = dict[str, Any]

ORDER_STATUSES = ("Pending payment", "Pending validation", "In process", "Sent", "Delivered", "Cancelled")
CARRIERS = ((1, "Correos"), (2, "GLS"), (3, "DHL"))


def product_id(index: int) -> int:
    """Product ids and variation ids are two number ranges that overlap."""
    return FIRST_PRODUCT_ID + index


def variation_id(unit: int) -> int:
    """See `product_id`."""
    return FIRST_PRODUCT_ID + unit


def product_sku(index: int) -> str:
    """The reference one orders a product without variations by."""
    return f"S{index:07d}"


def variation_sku(unit: int) -> str:
    """The reference one orders a variation by."""
    return f"S{unit // 8:07d}-{unit % 8}"


def _ean(seed: int, number: int) -> str:
    digits = f"20{roll(seed, 'ean', number, 10**10):010d}"
    check = (10 - sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(digits)) % 10) % 10
    return f"{digits}{check}"


def prices(world: World, kind: str, unit: int) -> Object:
    """The three prices of a list row, as numbers."""
    wholesale = world.wholesale(kind, unit)
    return {"wholesalePrice": wholesale, "retailPrice": round(wholesale * 1.9, 2), "inShopsPrice": round(wholesale * 2.2, 2)}


def product(world: World, index: int) -> Object:
    """A row of ``products``."""
    at = world.updated_at(index)
    row: Object = {
        "id": product_id(index),
        "sku": product_sku(index),
        "manufacturer": 100 + roll(world.seed, "maker", index, 40),
        "category": 0,
        "taxonomy": world.group_of(index) * 10 + roll(world.seed, "leaf", index, 5),
        "taxId": 1,
        "taxRate": 21,
        "weight": 1 + roll(world.seed, "weight", index, 400) / 100,
        "height": 1,
        "width": 1,
        "depth": 1,
        **prices(world, "product", index),
        "priceLargeQuantities": [],
        "condition": "REFURBISHED_B" if index % 97 == 0 else "NEW",
        "active": 1,
        "images": True,
        "attributes": variations_of(index) > 0,
        "categories": False,
        "tags": False,
        "logisticClass": "A",
        "intrastat": "94052190",
        "video": "0",
        "dateUpd": at,
        "dateUpdStock": at,
    }
    if index % 11:
        row["ean13"] = _ean(world.seed, index)
    if index % 7 == 0:
        row["partNumber"] = f"PN-{index}"
    return row


def information(world: World, index: int, language: str) -> Object:
    """A row of ``productsinformation``."""
    name = world.name(index, language)
    return {
        "id": product_id(index),
        "sku": product_sku(index),
        "name": name,
        "description": f"<p>{name}: <b>a thing for the home</b>.</p><ul><li>Size: {1 + index % 90} cm</li></ul>",
        "url": f"thing-{index}",
        "isoCode": language,
        "dateUpdDescription": world.updated_at(index),
    }


def images(world: World, index: int) -> Object:
    """A row of ``productsimages``; ``isCover`` is a boolean or the text ``TRUE``."""
    count = 1 + roll(world.seed, "images", index, 4)
    return {
        "id": product_id(index),
        "images": [
            {
                "id": index * 10 + place,
                "isCover": (True if index % 2 else "TRUE") if place == 0 else False,
                "name": f"{product_sku(index)}_{place}.jpg",
                "url": f"https://cdn.example.invalid/images/{product_sku(index)}_{place}.jpg",
                "logo": False,
                "whiteBackground": place == 0,
                "position": place,
                "energyEfficiency": 0,
            }
            for place in range(count)
        ],
    }


def product_variation(world: World, unit: int) -> Object:
    """A row of ``productsvariations``."""
    return {
        "id": variation_id(unit),
        "sku": variation_sku(unit),
        "ean13": _ean(world.seed, 10**7 + unit),
        "product": product_id(unit // 8),
        "extraWeight": 0,
        **prices(world, "variation", unit),
        "width": 1,
        "height": 1,
        "depth": 1,
        "priceLargeQuantities": [],
        "logisticClass": "A",
    }


def variation(_: World, unit: int) -> Object:
    """A row of ``variations``: which attributes tell it apart."""
    return {"id": variation_id(unit), "attributes": [{"id": 1 + unit % len(COLOURS)}, {"id": 101 + unit % 8}]}


def price(world: World, kind: str, unit: int) -> Object:
    """A row of ``productprices`` or ``productvariationprices``."""
    sku = product_sku(unit) if kind == "product" else variation_sku(unit)
    number = product_id(unit) if kind == "product" else variation_id(unit)
    return {"id": number, "sku": sku, **prices(world, kind, unit)}


def stock(world: World, kind: str, unit: int) -> Object:
    """A row of either stock list: the quantity split over two handling times; nothing in stock is no row or a row of 0."""
    quantity = world.quantity(kind, unit)
    rows = [
        {"quantity": quantity - quantity // 3, "minHandlingDays": 0, "maxHandlingDays": 1, "warehouse": 1},
        {"quantity": quantity // 3, "minHandlingDays": 1, "maxHandlingDays": 2, "warehouse": 1 if unit % 20 else 2},
    ]
    if quantity == 0:
        rows = rows[: unit % 2]
    sku = product_sku(unit) if kind == "product" else variation_sku(unit)
    return {"id": product_id(unit) if kind == "product" else variation_id(unit), "sku": sku, "stocks": rows}


def taxonomies(world: World, language: str, *, first_level: bool) -> list[Object]:
    """The groups, and five leaves below each."""
    rows: list[Object] = []
    for group, name in world.groups:
        rows.append(_taxonomy(group, name, 0, language))
        if not first_level:
            rows.extend(_taxonomy(group * 10 + leaf, f"{name} {leaf}", group, language) for leaf in range(5))
    return rows


def _taxonomy(number: int, name: str, parent: int, language: str) -> Object:
    return {
        "id": number,
        "name": name if language == "en" else f"{name} ({language})",
        "url": name.lower().replace(" ", "-"),
        "parentTaxonomy": parent,
        "dateAdd": "2020-01-01 00:00:00",
        "dateUpd": "2024-01-01 00:00:00",
        "urlImages": "",
        "isoCode": language,
    }


def attributes(language: str) -> list[Object]:
    """Colours (group 1) and sizes (group 2)."""
    colours = [{"id": 1 + n, "attributeGroup": 1, "name": name, "isoCode": language} for n, name in enumerate(COLOURS)]
    return colours + [{"id": 101 + n, "attributeGroup": 2, "name": f"Size {n}", "isoCode": language} for n in range(8)]


def attribute_groups(language: str) -> list[Object]:
    """The two groups of `attributes`."""
    return [{"id": 1, "name": "Colour", "isoCode": language}, {"id": 2, "name": "Size", "isoCode": language}]


def manufacturers() -> list[Object]:
    """Forty makers."""
    return [{"id": 100 + n, "name": f"Maker {n}", "urlImage": "", "reference": f"M{n:03d}"} for n in range(40)]


def order(found: Order) -> Object:
    """``order/{id}``: the id and all money as text."""
    return {
        "id": str(found.id),
        "internalReference": found.reference,
        "dateAdd": found.placed_at,
        "totalPaidTaxIncl": found.total,
        "totalPaidTaxExcl": found.total,
        "totalShippingTaxIncl": "4.90",
        "totalShippingTaxExcl": "4.05",
        "status": found.status,
        "carriers": [{"id": "2", "name": "GLS", "price": "4.90"}],
        "shippingAddress": {"firstName": "Test", "lastName": "Person", "country": "FR", "postcode": "00000", "town": "Testville"},
        "products": [
            {
                "id": str(number + 1),
                "reference": line["reference"],
                "quantity": line["quantity"],
                "name": f"Line {number + 1}",
                "priceTaxIncl": line.get("price", "12.10"),
                "priceTaxExcl": line.get("price", "10.00"),
            }
            for number, line in enumerate(found.lines)
        ],
    }


def tracking(found: Order) -> Object:
    """An element of ``tracking/order/{id}``; an order may travel in several parcels."""
    return {
        "id": str(found.id),
        "reference": found.reference,
        "trackings": [
            {
                "trackingNumber": parcel["number"],
                "statusDescription": parcel.get("status", "In transit"),
                "statusDate": parcel.get("at", "2025-01-01 10:00:00"),
                "carrier": {"id": parcel.get("carrier", 2)},
                "descriptionTranslated": parcel.get("status", "In transit"),
            }
            for parcel in found.parcels
        ],
    }
