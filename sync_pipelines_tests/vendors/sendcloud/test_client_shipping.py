"""Labels, documents, cancellations and reference data: the client against the look-alike over real HTTP."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ContractError, DataError, UnclearOutcome
from sync_pipelines.core.jsons import decode_json, encode_json
from sync_pipelines.core.oauth import OAuthRefresh
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.vendors.sendcloud.client import MEDIA_TYPES, SendCloudClient, token_request
from sync_pipelines.vendors.sendcloud.faults import explain
from sync_pipelines.vendors.sendcloud.models import OrderLabel, Shipment, Tracking
from sync_pipelines.vendors.sendcloud.reference_models import Contract, Integration, SenderAddress, ShippingMethod, ShippingOption
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.conftest import KEYS, connect


def wish(**more: Any) -> dict[str, Any]:
    return {
        "to_address": {
            "name": "Ada Example",
            "address_line_1": "Rue de l'Exemple",
            "postal_code": "75999",
            "city": "Exempleville",
            "country_code": "FR",
        },
        "from_address": {"sender_address_id": 92001},
        "ship_with": {"type": "shipping_option_code", "properties": {"shipping_option_code": "colissimo:home", "contract_id": 518}},
        "parcels": [{"weight": {"value": "0.500", "unit": "kg"}}],
        **more,
    }


def shipments_in(client: SendCloudClient, **filters: Any) -> list[Shipment]:
    return [Shipment.parse(encode_json(one)) for page in client.shipments(**filters) for one in decode_json(page.body)["data"]]


def test_a_label_comes_with_its_announcement(client: SendCloudClient) -> None:
    announced = client.announce(wish(external_reference_id="a"))
    shipment = Shipment.model_validate(announced.shipment)
    assert not announced.existed
    assert shipment.parcels[0].label_file is not None
    assert base64.b64decode(shipment.parcels[0].label_file).startswith(b"%PDF")


def test_a_known_reference_is_an_existing_shipment_not_an_error(client: SendCloudClient) -> None:
    first, second = (client.announce(wish(external_reference_id="a")) for _ in range(2))
    assert second.existed
    assert second.shipment["id"] == first.shipment["id"]


def test_a_lost_answer_is_unclear_and_the_shipment_can_be_found(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.faults({"kind": "lost_answer", "path": "POST .*announce"})
    with pytest.raises(UnclearOutcome):
        client.announce(wish(external_reference_id="a"))
    assert len(shipments_in(client, external_reference_id="a")) == 1
    posts = [entry for entry in running.control.log() if entry["method"] == "POST"]
    assert len(posts) == 1


def test_a_gateways_error_after_an_announcement_is_unclear(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.faults({"kind": "html", "path": "POST .*announce"})
    with pytest.raises(UnclearOutcome):
        client.announce(wish(external_reference_id="a"))


def test_a_carriers_refusal_is_in_the_shipments_errors(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("settings", failing_carriers=["colissimo"])
    shipment = Shipment.model_validate(client.announce(wish()).shipment)
    assert [error.code for error in shipment.errors] == ["parcel_announcement_error"]


def test_a_wrong_request_is_refused_in_the_vendors_words(client: SendCloudClient) -> None:
    with pytest.raises(DataError) as caught:
        client.announce(wish(to_address={"name": "Ada"}))
    assert explain(caught.value.body) == "This field is required. (/to_address/address_line_1)"


def test_a_background_label_is_fetched_when_it_is_there(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("settings", announce_s=60)
    shipment = client.announce(wish(), wait=False).shipment
    parcel = shipment["parcels"][0]["id"]
    assert client.document(parcel) is None
    running.control.clock(advance=61)
    file = client.document(parcel)
    assert file is not None
    assert file.media_type == "application/pdf"


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_documents_come_in_the_form_asked_for(client: SendCloudClient, media_type: str) -> None:
    parcel = client.announce(wish()).shipment["parcels"][0]["id"]
    file = client.document(parcel, media_type=media_type, dpi=203)
    assert file is not None
    assert file.media_type == media_type


def test_many_labels_are_one_file(client: SendCloudClient) -> None:
    parcels = [client.announce(wish()).shipment["parcels"][0]["id"] for _ in range(3)]
    file = client.documents(parcels)
    assert file is not None
    assert PdfReader(BytesIO(file.content)).get_num_pages() == 3


def test_a_page_instead_of_a_document_is_not_kept(running: RunningSandbox, client: SendCloudClient) -> None:
    parcel = client.announce(wish()).shipment["parcels"][0]["id"]
    running.control.faults({"kind": "status", "status": 200, "body": "<html>", "content_type": "text/html", "path": "documents"})
    with pytest.raises(ContractError, match="instead of a document"):
        client.document(parcel)


def test_shipments_changed_since_an_instant(running: RunningSandbox, client: SendCloudClient) -> None:
    moment = datetime.now(UTC) - timedelta(days=9)
    truth = [Shipment.parse(encode_json(one)) for one in running.control.truth(streams="shipments")["shipments"].values()]
    expected = {one.id for one in truth if any(parcel.updated_at and parcel.updated_at > moment for parcel in one.parcels)}
    assert expected
    assert {one.id for one in shipments_in(client, updated_after=moment, page_size=7)} == expected


def test_cancelling_has_four_outcomes(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("settings", writes_per_second=100)
    shipments = [client.announce(wish()).shipment["id"] for _ in range(20)]
    assert {client.cancel_shipment(key).outcome for key in shipments} == {"cancelled", "queued", "refused"}
    assert client.cancel_shipment("nobody").outcome == "gone"


def test_cancelling_a_failed_announcement_deletes_it(running: RunningSandbox, client: SendCloudClient) -> None:
    running.control.post("settings", failing_carriers=["colissimo"])
    assert client.cancel_shipment(client.announce(wish()).shipment["id"]).outcome == "deleted"


def test_cancelling_a_waiting_parcel_deletes_it(running: RunningSandbox, client: SendCloudClient) -> None:
    parcels = running.control.truth(streams="parcels")["parcels"].values()
    waiting = next(parcel["id"] for parcel in parcels if parcel["status"]["id"] == 999)
    assert client.cancel_parcel(waiting).outcome == "deleted"
    assert client.parcel(waiting) is None


@pytest.mark.parametrize("in_list", [False, True])
def test_a_stored_order_is_shipped_in_either_shape(running: RunningSandbox, client: SendCloudClient, in_list: bool) -> None:
    running.control.post("settings", label_in_list=in_list)
    orders = running.control.truth()["orders"].values()
    order = next(one for one in orders if one["order_details"]["status"]["code"] == "unfulfilled")
    integration = order["order_details"]["integration"]["id"]
    data = client.ship_order({"integration_id": integration, "order": {"order_id": order["order_id"]}})["data"]
    label = OrderLabel.model_validate(data[0] if in_list else data)
    assert label.order_id == order["order_id"]


def test_an_accepted_call_may_hold_nothing_but_errors(client: SendCloudClient) -> None:
    assert list(client.ship_orders({"integration_id": 7001, "orders": [{"order_id": "nobody"}]})) == ["errors"]


def test_tracking_is_read_without_an_envelope(client: SendCloudClient) -> None:
    number = client.announce(wish()).shipment["parcels"][0]["tracking_number"]
    body = client.tracking(number)
    assert body is not None
    assert [event.status_code for event in Tracking.parse(body).events] == ["ANNOUNCING", "READY_TO_SEND"]


def test_reference_data_is_readable(client: SendCloudClient) -> None:
    methods = [ShippingMethod.model_validate(one) for one in decode_json(client.shipping_methods())["shipping_methods"]]
    options = [
        ShippingOption.model_validate(one) for one in decode_json(client.shipping_options({"calculate_quotes": True}))["data"]
    ]
    codes = client.method_codes([*(method.id for method in methods), 424242])
    assert set(codes.values()) == {option.code for option in options} | {None}
    assert [Contract.model_validate(one) for page in client.contracts() for one in decode_json(page.body)["data"]]
    assert [SenderAddress.model_validate(one) for page in client.sender_addresses() for one in decode_json(page.body)["data"]]
    v3 = [Integration.model_validate(one) for one in decode_json(client.integrations())["data"]]
    v2 = [Integration.model_validate(one) for one in decode_json(client.v2_integrations())]
    assert v3 == v2
    assert "postnl" in decode_json(client.carriers())


def test_oauth_renews_its_token(running: RunningSandbox, database: Database) -> None:
    running.control.post("settings", oauth_only=True)
    secrets = Secrets(database, MasterKeys.parse(MasterKeys.new()))
    auth = OAuthRefresh(
        account="sendcloud/test",
        database=database,
        secrets=secrets,
        refresh_token=None,
        build_request=token_request(f"{running.base_url}/oauth2/token", *KEYS),
    )
    client = connect(running, auth=auth)
    assert client.auth_metadata()["user_id"] == 501
    running.control.post("tokens")
    assert client.auth_metadata()["user_id"] == 501
