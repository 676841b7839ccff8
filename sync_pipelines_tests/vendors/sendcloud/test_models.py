from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.vendors.sendcloud.models import Order, OrderLabel, ParcelStatusChanged, Shipment
from sync_pipelines.vendors.sendcloud.reference_models import Contract, Integration, SenderAddress
from sync_pipelines.vendors.sendcloud.v2_models import V2Parcel

ORDER = rb"""{"id": "17", "order_id": "A-1", "order_number": "SO-1", "created_at": "2026-01-02T03:04:05.678901+00:00",
 "modified_at": "2026-01-03T00:00:00+00:00",
 "order_details": {"integration": {"id": 7}, "status": {"code": "teleported"}, "order_created_at": "2026-01-02T05:04:05.5+02:00",
   "order_items": [{"name": "mug", "quantity": 2, "total_price": {"value": 0.10, "currency": "CHF"}}]},
 "payment_details": {"total_price": {"value": 19.90, "currency": "XTS"}, "status": {"code": "paid"}},
 "shipping_details": {"measurement": {"weight": {"value": "250", "unit": "g"}}}, "surprise": {"a": [1]}}"""

PARCEL: dict[str, Any] = {
    "id": 5,
    "order_number": "SO-1",
    "status": {"id": 424242, "message": "New one"},
    "date_created": "01-02-2026 03:04:05",
}


def changed(**values: Any) -> bytes:
    return encode_json({**PARCEL, **values})


def test_money_keeps_the_digits_the_vendor_wrote() -> None:
    assert str(Order.parse(ORDER).payment_details.total_price.value) == "19.90"


def test_unknown_status_currency_and_field_are_no_reason_to_refuse_an_order() -> None:
    order = Order.parse(ORDER)
    assert (order.order_details.status.code, order.payment_details.total_price.currency) == ("teleported", "XTS")


def test_times_become_utc() -> None:
    assert Order.parse(ORDER).order_details.order_created_at == datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC)


@pytest.mark.parametrize("key", ["17", 17])
def test_an_order_id_is_text_whether_it_came_as_text_or_number(key: object) -> None:
    assert Order.model_validate({**decode_json(ORDER), "id": key}).id == "17"


def test_weights_are_converted_to_kilograms() -> None:
    details = Order.parse(ORDER).shipping_details
    assert details is not None
    assert details.measurement is not None
    assert details.measurement.kilograms == Decimal("0.25")


@pytest.mark.parametrize("value", ["12,50", "", None, True, [], "NaN", Decimal("1E+999")])
def test_an_amount_that_is_no_number_refuses_the_record(value: object) -> None:
    order = decode_json(ORDER)
    order["payment_details"]["total_price"]["value"] = value
    with pytest.raises(ValidationError):
        Order.model_validate(order)


@pytest.mark.parametrize("label", [None, {}, {"normal_printer": None, "label_printer": None}, {"normal_printer": []}])
def test_a_label_can_be_absent_in_four_ways(label: object) -> None:
    assert V2Parcel.parse(changed(label=label)).label_url is None


def test_a_label_without_the_label_printers_address_is_found_on_a4() -> None:
    assert (
        V2Parcel.parse(changed(label={"normal_printer": ["https://panel.example.com/1"]})).label_url
        == "https://panel.example.com/1"
    )


@pytest.mark.parametrize("absent", [{"tracking_url": None}, {"tracking_url": ""}, {}])
def test_missing_null_and_empty_text_are_all_absent(absent: dict[str, Any]) -> None:
    assert V2Parcel.parse(changed(**absent)).tracking_url is None


def test_v2_dates_are_day_first_and_utc() -> None:
    assert V2Parcel.parse(changed()).date_created == datetime(2026, 2, 1, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("date", ["2026-31-12 25:00", "32-01-2026 00:00:00", 5, "", None])
def test_a_v2_date_that_is_none_refuses_the_record(date: object) -> None:
    with pytest.raises(ValidationError):
        V2Parcel.parse(changed(date_created=date))


@pytest.mark.parametrize("shipment", [None, {}])
def test_an_unannounced_parcel_has_no_shipping_method(shipment: object) -> None:
    assert V2Parcel.parse(changed(shipment=shipment)).shipment is None


@pytest.mark.parametrize("timestamp", [1_771_000_000_123, "1771000000123"])
def test_webhook_timestamps_are_milliseconds(timestamp: object) -> None:
    event = ParcelStatusChanged.model_validate({"action": "parcel_status_changed", "timestamp": timestamp, "parcel": PARCEL})
    assert event.timestamp == datetime(2026, 2, 13, 16, 26, 40, 123_000, UTC)


def test_a_shipment_of_strings_and_one_of_numbers_read_alike() -> None:
    prices = ({"value": "11.10", "currency": "EUR"}, {"value": Decimal("11.10"), "currency": "EUR"})
    shipments = [Shipment.model_validate({"id": "u", "total_order_price": price}) for price in prices]
    assert shipments[0] == shipments[1]


def test_a_naive_shipment_time_is_utc() -> None:
    parcel = {"id": 1, "status": {"code": "ANNOUNCED"}, "created_at": "2026-01-01T21:45:30"}
    assert Shipment.model_validate({"id": "u", "parcels": [parcel]}).parcels[0].created_at == datetime(
        2026, 1, 1, 21, 45, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(("given", "parcels"), [({"parcels_ids": [1, 2]}, [1, 2]), ({"parcel_id": 3}, [3]), ({}, [])])
def test_a_shipped_orders_parcels_come_in_the_old_and_the_new_form(given: dict[str, Any], parcels: list[int]) -> None:
    assert OrderLabel.model_validate({"shipment_id": "u", **given}).parcels == parcels


def test_reference_data_reads_alike_from_both_versions() -> None:
    assert SenderAddress.model_validate({"id": 1, "contact_name": "Desk", "street": "Road", "country": "FR"}) == (
        SenderAddress.model_validate({"id": 1, "name": "Desk", "address_line_1": "Road", "country_code": "FR"})
    )
    assert Integration.model_validate({"id": 1, "system": "api"}) == Integration.model_validate({"id": 1, "type": "api"})
    forms = ({"id": 1, "carrier": {"code": "ups"}}, {"id": 1, "carrier_code": "ups"})
    assert {Contract.model_validate(form).carrier_id for form in forms} == {"ups"}
