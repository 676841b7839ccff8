"""AliExpress' look-alike behaves as the facts say."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.aliexpress import app as aliexpress
from sync_pipelines.sandbox.aliexpress.world import FEED, FIRST_PRODUCT_ID
from sync_pipelines_tests.sandboxes import RunningSandbox


@pytest.fixture
def platform() -> RunningSandbox:
    running = RunningSandbox("aliexpress", aliexpress.create_app())
    running.control.post("throttle", probability=0)
    return running


def signed(parameters: dict[str, str], prefix: str = "") -> dict[str, str]:
    text = prefix + "".join(name + parameters[name] for name in sorted(parameters))
    return parameters | {"sign": hmac.new(b"sandbox-app-secret", text.encode(), hashlib.sha256).hexdigest().upper()}


def call(platform: RunningSandbox, method: str, **business: str) -> Any:
    system = {"app_key": "sandbox-app", "method": method, "session": "sandbox-access", "timestamp": "1", "sign_method": "sha256"}
    prefix = method if "/" in method else ""
    return httpx.post(f"{platform.base_url}/sync", data=signed(system | business, prefix)).json()


def product(platform: RunningSandbox, number: int, **business: str) -> Any:
    return call(
        platform, "aliexpress.ds.product.get", product_id=str(number), ship_to_country="FR", target_currency="EUR", **business
    )


def test_both_modes_and_the_list_of_one(platform: RunningSandbox) -> None:
    wrapped = product(platform, FIRST_PRODUCT_ID)["aliexpress_ds_product_get_response"]
    assert isinstance(wrapped["result"]["ae_item_sku_info_dtos"]["ae_item_sku_info_d_t_o"], dict)
    assert isinstance(wrapped["rsp_code"], int)
    simple = product(platform, FIRST_PRODUCT_ID, simplify="true")
    (sku,) = simple["result"]["ae_item_sku_info_dtos"]
    assert (simple["code"], simple["rsp_code"]) == ("0", "200")
    assert isinstance(sku["sku_available_stock"], str)


def test_the_seller_counts_in_yuan_and_the_sku_in_what_was_asked(platform: RunningSandbox) -> None:
    result = product(platform, FIRST_PRODUCT_ID)["aliexpress_ds_product_get_response"]["result"]
    assert result["ae_item_base_info_dto"]["currency_code"] == "CNY"
    assert result["ae_item_sku_info_dtos"]["ae_item_sku_info_d_t_o"]["currency_code"] == "EUR"


def test_a_wrong_signature_is_refused_and_noted(platform: RunningSandbox) -> None:
    sent = signed({"app_key": "sandbox-app", "method": "aliexpress.ds.feedname.get", "sign_method": "sha256"}) | {"sign": "0" * 64}
    answer = httpx.post(f"{platform.base_url}/sync", params=sent).json()
    assert answer["error_response"]["code"] == "IncompleteSignature"
    assert platform.control.get("signatures") == {"wrong": ["aliexpress.ds.feedname.get"]}


def test_the_end_of_the_refresh_token_never_moves(platform: RunningSandbox) -> None:
    def refresh(token: str) -> Any:
        sent = {"app_key": "sandbox-app", "refresh_token": token, "sign_method": "sha256", "timestamp": "1"}
        return httpx.post(f"{platform.base_url}/rest/auth/token/refresh", data=signed(sent, "/auth/token/refresh")).json()

    first = refresh("sandbox-refresh")
    platform.control.clock(advance=3600)
    second = refresh(first["refresh_token"])
    assert (first["expires_in"], second["expires_in"]) == (30 * 86_400, 30 * 86_400)
    assert second["refresh_expires_in"] <= first["refresh_expires_in"] - 3600
    assert refresh("sandbox-refresh")["code"] == "IllegalRefreshToken"


def test_token_calls_work_through_sync_too(platform: RunningSandbox) -> None:
    answer = call(platform, "/auth/token/refresh", refresh_token="sandbox-refresh")
    assert answer["/auth/token/refresh_response"]["access_token"] == "sandbox-access-1"


def test_refusals_have_their_codes(platform: RunningSandbox) -> None:
    platform.control.post("throttle", probability=1)
    limited = product(platform, FIRST_PRODUCT_ID)["error_response"]
    assert (limited["code"], limited["type"]) == ("ApiCallLimit", "ISV")
    platform.control.post("throttle", probability=0)
    platform.control.post("withdraw", ids=[FIRST_PRODUCT_ID])
    assert product(platform, FIRST_PRODUCT_ID)["aliexpress_ds_product_get_response"]["rsp_msg"] == "ITEM_ID_NOT_FOUND"
    unknown = call(platform, "aliexpress.trade.ds.order.get", single_order_query='{"order_id":1}')["error_response"]
    assert (unknown["code"], unknown["sub_code"]) == ("15", "isv.insufficient-permission")
    tracking = call(platform, "aliexpress.ds.order.tracking.get", ae_order_id="1", language="en")
    assert tracking["aliexpress_ds_order_tracking_get_response"]["result"]["code"] == "1001"


def test_a_feed_is_paged_by_a_search_that_lives_a_minute(platform: RunningSandbox) -> None:
    def page(search: str) -> Any:
        answer = call(
            platform, "aliexpress.ds.feed.itemids.get", feed_name=FEED, page_size="20", **({"search_id": search} if search else {})
        )
        return answer["aliexpress_ds_feed_itemids_get_response"]["result"]

    first = page("")
    second = page(first["search_id"])
    assert (len(first["products"]["number"]), first["total"]) == (20, 10)
    assert not set(first["products"]["number"]) & set(second["products"]["number"])
    platform.control.clock(advance=61)
    assert page(first["search_id"])["products"] == first["products"]
