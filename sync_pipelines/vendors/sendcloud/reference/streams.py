"""Snapshot streams of reference data: everything is read, and what is no longer listed is marked as gone.

The vendor tells no change times, so a version is when it was read. Method ids change without notice (facts §6.1): one scan without
them is enough, and any share of them may go at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import Table

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.stream import DeletePolicy, Deletes, Page, ParseContext, Stream
from sync_pipelines.core.upsert import Record
from sync_pipelines.vendors.sendcloud import reference_models as models
from sync_pipelines.vendors.sendcloud.client import SendCloudClient
from sync_pipelines.vendors.sendcloud.fields import Payload
from sync_pipelines.vendors.sendcloud.paging import ListPage
from sync_pipelines.vendors.sendcloud.reference import tables

V2, V3 = "v2", "v3"

_VOLATILE = DeletePolicy(Deletes.ABSENT, confirmations=1, brake_share=1.0, brake_rows=100_000)
_SETTLED = DeletePolicy(Deletes.ABSENT, confirmations=2, brake_share=1.0, brake_rows=1_000)


class _Data(msgspec.Struct):
    data: list[msgspec.Raw]


class _Methods(msgspec.Struct):
    shipping_methods: list[msgspec.Raw]


class _Key(msgspec.Struct):
    id: int | str | None = None
    code: str | None = None


def _split(body: bytes, source: str) -> list[bytes]:
    del source
    try:
        return [bytes(item) for item in msgspec.json.decode(body, type=_Data).data]
    except msgspec.MsgspecError as error:
        raise ContractError("SendCloud answered reference data without its list", body=body[:2000]) from error


def _split_methods(body: bytes, source: str) -> list[bytes]:
    del source
    try:
        return [bytes(item) for item in msgspec.json.decode(body, type=_Methods).shipping_methods]
    except msgspec.MsgspecError as error:
        raise ContractError("SendCloud answered shipping methods without their list", body=body[:2000]) from error


def _key_of(raw: bytes, source: str) -> str | None:
    del source
    try:
        key = msgspec.json.decode(raw, type=_Key)
    except msgspec.MsgspecError:
        return None
    return key.code or (None if key.id is None else str(key.id))


def _mapped(model: type[Payload], rows: Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]) -> Callable[..., Record]:
    def parse(raw: bytes, context: ParseContext) -> Record:
        key, row = rows(model.parse(raw))
        return Record(key=key, version=context.received_at, row=row, raw=raw)

    return parse


def _contract(one: models.Contract) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (one.id,), {
        "carrier": one.carrier_id,
        "name": one.name or (one.carrier.name if one.carrier else None),
        "client_id": one.client_id,
        "country": one.country,
        "state": one.state,
        "type": one.type,
        "is_default": one.is_default_per_carrier,
    }


def _method(one: models.ShippingMethod) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (one.id,), {
        "name": one.name,
        "carrier": one.carrier,
        "min_weight_kg": one.min_weight,
        "max_weight_kg": one.max_weight,
        "needs_service_point": one.service_point_input == "required",
        "countries": sorted({country.iso_2 for country in one.countries if country.iso_2}),
        "prices": {country.iso_2: country.price for country in one.countries if country.iso_2 and country.price is not None},
    }


def _option(one: models.ShippingOption) -> tuple[tuple[Any, ...], dict[str, Any]]:
    least, most = (one.weight.min, one.weight.max) if one.weight else (None, None)
    contract = one.contract.id if one.contract else None
    return (one.code, contract or 0), {
        "name": one.name,
        "carrier": one.carrier.code if one.carrier else None,
        "product": one.product.code if one.product else None,
        "min_weight_kg": least.kilograms if least else None,
        "max_weight_kg": most.kilograms if most else None,
        "needs_service_point": one.requirements.is_service_point_required if one.requirements else None,
        "functionalities": one.functionalities,
    }


def _sender(one: models.SenderAddress) -> tuple[tuple[Any, ...], dict[str, Any]]:
    names = ("name", "company_name", "address_line_1", "house_number", "postal_code", "city")
    return (one.id,), {**{name: getattr(one, name) for name in names}, "country": one.country_code}


def _integration(one: models.Integration) -> tuple[tuple[Any, ...], dict[str, Any]]:
    names = ("shop_name", "shop_url", "type", "failing_since", "last_fetched_at", "updated_at", "webhook_active", "webhook_url")
    return (one.id,), {name: getattr(one, name) for name in names}


def _carrier(one: models.NamedCode) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (one.code or "",), {"name": one.name}


def _read_carriers(client: SendCloudClient, token: str | None) -> Iterator[Page]:
    """Codes of service-point carriers, with those of the contracts, which also know names."""
    del token
    names: dict[str, str | None] = dict.fromkeys(msgspec.json.decode(client.carriers(), type=list[str]))
    for page in client.contracts():
        for raw in _split(page.body, V3):
            carrier = models.Contract.parse(raw).carrier
            if carrier and carrier.code:
                names[carrier.code] = carrier.name
    data = [{"code": code, "name": name} for code, name in sorted(names.items())]
    yield Page(msgspec.json.encode({"data": data}), V2, "GET /v2/carriers")


def _listed(read: Callable[[SendCloudClient, str | None], Iterator[ListPage]]) -> Callable[..., Iterator[Page]]:
    def everything(client: SendCloudClient, token: str | None) -> Iterator[Page]:
        for page in read(client, token):
            yield Page(page.body, V3, page.request, page.cursor)

    return everything


def _once(read: Callable[[SendCloudClient], bytes], source: str, request: str) -> Callable[..., Iterator[Page]]:
    def everything(client: SendCloudClient, token: str | None) -> Iterator[Page]:
        del token
        yield Page(read(client), source, request)

    return everything


def _snapshot(
    table: Table,
    description: str,
    parse: Callable[..., Record],
    everything: Callable[..., Iterator[Page]],
    *,
    records: Callable[[bytes, str], Sequence[bytes]] = _split,
    cron: str = "5 4 * * *",
    freshness: timedelta = timedelta(hours=30),
    deletes: DeletePolicy = _SETTLED,
) -> Stream[SendCloudClient]:
    return Stream[SendCloudClient](
        key=f"sendcloud/{table.name}",
        table=table,
        description=description,
        records=records,
        parse=parse,
        key_of=_key_of,
        everything=everything,
        version_is_read_time=True,
        cron=cron,
        freshness=freshness,
        deletes=deletes,
        max_runtime=timedelta(minutes=10),
    )


carriers = _snapshot(
    tables.carriers, "Carriers with service points or a contract.", _mapped(models.NamedCode, _carrier), _read_carriers
)
contracts = _snapshot(
    tables.contracts,
    "Contracts with carriers.",
    _mapped(models.Contract, _contract),
    _listed(lambda client, cursor: client.contracts(cursor=cursor)),
)
shipping_methods = _snapshot(
    tables.shipping_methods,
    "v2 shipping methods; their ids are volatile, gone ones are marked.",
    _mapped(models.ShippingMethod, _method),
    _once(lambda client: client.shipping_methods(), V2, "GET /v2/shipping_methods"),
    records=_split_methods,
    cron="20 * * * *",
    freshness=timedelta(hours=3),
    deletes=_VOLATILE,
)
shipping_options = _snapshot(
    tables.shipping_options,
    "v3 shipping options, which label requests and rules name; gone ones are marked.",
    _mapped(models.ShippingOption, _option),
    _once(lambda client: client.shipping_options(), V3, "POST /v3/shipping-options"),
    cron="20 * * * *",
    freshness=timedelta(hours=3),
    deletes=_VOLATILE,
)
sender_addresses = _snapshot(
    tables.sender_addresses,
    "Addresses parcels may be sent from.",
    _mapped(models.SenderAddress, _sender),
    _listed(lambda client, cursor: client.sender_addresses(cursor=cursor)),
)
integrations = _snapshot(
    tables.integrations,
    "Shop connections of the account.",
    _mapped(models.Integration, _integration),
    _once(lambda client: client.integrations(), V3, "GET /v3/integrations"),
)

STREAMS = (carriers, contracts, shipping_methods, shipping_options, sender_addresses, integrations)
