"""Reference data: carriers, contracts, methods, options, senders, integrations, statuses, the account itself (facts §6)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import answer, read_json, v2_error, v3_error
from sync_pipelines.sandbox.sendcloud.announcing import grams
from sync_pipelines.sandbox.sendcloud.catalogue import COUNTRIES, OPTION_BY_CODE, OPTIONS, SENDERS, STATUSES, Option
from sync_pipelines.sandbox.sendcloud.chance import server_time
from sync_pipelines.sandbox.sendcloud.profiles import Integration
from sync_pipelines.sandbox.sendcloud.world import Account

COMPAT_MOST = 100


async def auth_metadata(account: Account, request: Request) -> Response:
    """``GET /v3/user/auth/metadata``: whose key this is."""
    return answer({"data": {"user_id": account.profile.user_id, "integration_id": request.state.key.integration}})


async def v2_user(account: Account, _: Request) -> Response:
    """``GET /v2/user``: the old ping."""
    return answer({"user": {"username": f"sandbox-{account.profile.name}", "company_name": "Example Warehouse"}})


async def v2_carriers(_: Account, __: Request) -> Response:
    """``GET /v2/carriers``: a bare array of service-point carriers."""
    return answer(sorted({option.carrier for option in OPTIONS if option.code != "sendcloud:letter"}))


async def contracts(_: Account, __: Request) -> Response:
    """``GET /v3/contracts``, in the form of its examples."""
    known: dict[int, Option] = {option.contract_id: option for option in OPTIONS if option.contract_id is not None}
    data = [
        {
            "id": number,
            "carrier": {"code": option.carrier, "name": option.carrier_name},
            "client_id": f"client-{number}",
            "country": "FR",
            "is_default_per_carrier": True,
            "state": "active",
            "type": "direct",
        }
        for number, option in sorted(known.items())
    ]
    return answer({"data": data})


async def v3_statuses(_: Account, __: Request) -> Response:
    """``GET /v3/parcels/statuses``."""
    return answer({"data": [{"code": status.code, "message": status.message} for status in STATUSES.values()]})


async def sender_addresses(_: Account, __: Request) -> Response:
    """``GET /v3/addresses/sender-addresses``."""
    extra = {"signature": {"full_name": "Logistics Desk", "initials": "LD"}, "tax_numbers": []}
    return answer({"data": [{**sender, **extra} for sender in SENDERS]})


async def v2_senders(_: Account, __: Request) -> Response:
    """``GET /v2/user/addresses/sender``."""
    return answer(
        {
            "sender_addresses": [
                {
                    "id": sender["id"],
                    "company_name": sender["company_name"],
                    "contact_name": sender["name"],
                    "email": sender["email"],
                    "telephone": sender["phone_number"],
                    "street": sender["address_line_1"],
                    "house_number": sender["house_number"],
                    "postal_box": "",
                    "postal_code": sender["postal_code"],
                    "city": sender["city"],
                    "country": sender["country_code"],
                    "country_state": None,
                    "vat_number": "",
                    "eori_number": "",
                    "brand_id": 1,
                    "label": "",
                    "signature_full_name": "",
                    "signature_initials": "",
                }
                for sender in SENDERS
            ]
        }
    )


async def shipping_methods(account: Account, request: Request) -> Response:
    """``GET /v2/shipping_methods``: without ``limit`` everything; ids change when ``method_epoch`` does."""
    country = request.query_params.get("to_country")
    offered = [option for option in _offered(account) if not country or country in option.countries]
    return answer({"shipping_methods": [_method(account, option) for option in offered]})


async def shipping_method(account: Account, request: Request) -> Response:
    """``GET /v2/shipping_methods/{id}``."""
    for option in _offered(account):
        if str(_method_id(account, option)) == request.path_params["id"]:
            return answer({"shipping_method": _method(account, option)})
    return v2_error(request, 404, "No ShippingMethod matches the given query.")


async def shipping_options(account: Account, request: Request) -> Response:
    """``POST /v3/shipping-options``: takes the plain fields of early 2026 and the newer address objects."""
    body = read_json(await request.body() or b"{}")
    to_country = body.get("to_country_code") or (body.get("to_address") or {}).get("country_code")
    parcels = body.get("parcels") or []
    options = [
        option
        for option in _offered(account)
        if (not to_country or to_country in option.countries)
        and body.get("carrier_code") in (None, option.carrier)
        and body.get("shipping_option_code") in (None, option.code)
        and body.get("contract_id") in (None, option.contract_id)
        and all(option.min_grams <= grams(parcel.get("weight")) < option.max_grams for parcel in parcels)
    ]
    return answer({"data": [_option(option, quotes=bool(body.get("calculate_quotes"))) for option in options]})


async def compat_options(account: Account, request: Request) -> Response:
    """``POST /v3/compat/shipping-options``: V2 method ids to V3 codes, unknown ones as the text ``null``."""
    asked = read_json(await request.body()).get("shipping_method_ids") or []
    if not 1 <= len(asked) <= COMPAT_MOST:
        return v3_error(
            400, "invalid", f"Between 1 and {COMPAT_MOST} ids are required.", source={"pointer": "/shipping_method_ids"}
        )
    codes = {_method_id(account, option): option.code for option in _offered(account)}
    return answer({"data": {str(method): codes.get(method, "null") for method in asked}})


async def v3_integrations(account: Account, _: Request) -> Response:
    """``GET /v3/integrations``."""
    return answer({"data": [_v3_integration(account, one) for one in account.profile.integrations]})


async def v3_integration(account: Account, request: Request) -> Response:
    """``GET`` and ``PATCH /v3/integrations/{id}``; the latter sets the webhook address."""
    found = _integration(account, request)
    if found is None:
        detail = "The Integration could not be found with the search criteria given"
        return answer({"errors": [{"status": 404, "code": "not_found", "title": "Not Found", "detail": detail}]}, 404)
    if request.method == "GET":
        return answer({"data": _v3_integration(account, found)})
    change = read_json(await request.body())
    if change.get("webhook_active") and not (change.get("webhook_url") or account.webhooks.get(found.id)):
        return v3_error(400, "invalid", "Webhook URL required when enable webhook is set to true", title="Invalid")
    if "webhook_url" in change or change.get("webhook_active") is False:
        account.webhooks[found.id] = change.get("webhook_url") if change.get("webhook_active", True) else None
    return Response(status_code=204)


async def v2_integrations(account: Account, _: Request) -> Response:
    """``GET /v2/integrations``: a bare array."""
    return answer([v2_integration(account, one) for one in account.profile.integrations])


def v2_integration(account: Account, integration: Integration) -> dict[str, Any]:
    """An integration in V2's names, as webhooks use them too."""
    shown = _v3_integration(account, integration)
    renamed = {
        "system": shown["type"],
        "failing_since": shown["started_failing_at"],
        "last_fetch": shown["last_fetched_at"],
        "last_updated_at": shown["updated_at"],
    }
    same = ("id", "shop_name", "shop_url", "service_point_enabled", "service_point_carriers", "webhook_active", "webhook_url")
    return {**{name: shown[name] for name in same}, **renamed}


def _v3_integration(account: Account, integration: Integration) -> dict[str, Any]:
    url = account.webhooks.get(integration.id)
    return {
        "id": integration.id,
        "shop_name": integration.shop_name,
        "shop_url": f"https://shop-{integration.id}.example.com",
        "type": integration.system,
        "started_failing_at": None,
        "last_fetched_at": None if integration.system == "api" else server_time(account.generator.end),
        "created_at": server_time(account.generator.start),
        "updated_at": server_time(account.generator.end),
        "service_point_enabled": False,
        "service_point_carriers": [],
        "webhook_active": url is not None,
        "webhook_url": url,
        "feedback_type": "delayed",
    }


def _integration(account: Account, request: Request) -> Integration | None:
    return next((one for one in account.profile.integrations if str(one.id) == request.path_params["id"]), None)


def _offered(account: Account) -> list[Option]:
    hidden = account.settings.hidden_options
    return [option for option in OPTION_BY_CODE.values() if option.code not in hidden]


def _method_id(account: Account, option: Option) -> int:
    return option.method_id + 1000 * account.method_epoch


def _method(account: Account, option: Option) -> dict[str, Any]:
    return {
        "id": _method_id(account, option),
        "name": option.name,
        "carrier": option.carrier,
        "min_weight": f"{option.min_grams / 1000:.3f}",
        "max_weight": f"{option.max_grams / 1000:.3f}",
        "service_point_input": "required" if option.needs_service_point else "none",
        "price": 0,
        "countries": [
            {
                "id": COUNTRIES[country][0],
                "name": COUNTRIES[country][2],
                "iso_2": country,
                "iso_3": COUNTRIES[country][1],
                "from_id": 2,
                "from_name": "France",
                "from_iso_2": "FR",
                "from_iso_3": "FRA",
                "price": option.price / 100,
                "lead_time_hours": 48,
                "price_breakdown": [{"type": "price_without_insurance", "label": "Label", "value": option.price / 100}],
            }
            for country in option.countries
        ],
    }


def _option(option: Option, *, quotes: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "code": option.code,
        "name": option.name,
        "carrier": {"code": option.carrier, "name": option.carrier_name},
        "product": {"code": option.code.partition("/")[0], "name": option.name},
        "functionalities": {"signature": option.code.endswith("/signature"), "tracked": option.code != "sendcloud:letter"},
        "max_dimensions": {"length": "120.00", "width": "80.00", "height": "80.00", "unit": "cm"},
        "weight": {
            "min": {"value": f"{option.min_grams / 1000:.3f}", "unit": "kg"},
            "max": {"value": f"{option.max_grams / 1000:.3f}", "unit": "kg"},
        },
        "parcel_billed_weights": [],
        "contract": {"id": option.contract_id} if option.contract_id else None,
        "requirements": {"fields": [], "export_documents": False, "is_service_point_required": option.needs_service_point},
        "charging_type": "label_creation",
        "quotes": None,
    }
    if quotes:
        total = {"value": f"{option.price / 100:.2f}", "currency": "EUR"}
        breakdown = [{"type": "price_without_insurance", "label": "Label", "price": total}]
        shown["quotes"] = [{"weight": shown["weight"], "lead_time": 48, "price": {"breakdown": breakdown, "total": total}}]
    return shown
