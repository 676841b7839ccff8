"""Labels and documents over V3 and V2 (facts §4.4, §5.3)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.access import RefusedError, answer, read_json, v2_error, v3_error
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.papers import A4, A6, MEDIA_TYPES, PAPER, has_label, paper
from sync_pipelines.sandbox.sendcloud.parcels import label_links, owned
from sync_pipelines.sandbox.sendcloud.rendering import CUSTOMS_COUNTRIES
from sync_pipelines.sandbox.sendcloud.urls import api_url
from sync_pipelines.sandbox.sendcloud.world import Account

V3_KINDS = ("label", "customs-declaration", "air-waybill")
V2_KINDS = ("label", "commercial-invoice", "air-waybill", "cn23", "cn23-default", "cp71", "qr")


async def v3_document(account: Account, request: Request) -> Response:
    """``GET /v3/parcels/{id}/documents/{type}``."""
    return _v3(account, request, [request.path_params["id"]])


async def v3_documents(account: Account, request: Request) -> Response:
    """``GET /v3/parcel-documents/{type}?parcels=1&parcels=2``: 1 to 20 parcels in one file."""
    keys = request.query_params.getlist("parcels")
    if not 1 <= len(keys) <= 20:
        return v3_error(400, "invalid", "Between 1 and 20 parcels are required.", source={"parameter": "parcels"})
    return _v3(account, request, keys)


async def v2_document(account: Account, request: Request) -> Response:
    """``GET /v2/parcels/{id}/documents/{type}``."""
    kind = request.path_params["type"]
    found = _find(account, request.path_params["id"])
    if found is None:
        return v2_error(request, 404, "No Parcel matches the given query.")
    if kind not in V2_KINDS or not _exists(*found, "label" if kind == "label" else "customs-declaration"):
        return v2_error(request, 404, "Not found.")
    return _file(request, kind, [found], A6 if kind == "label" else A4)


async def v2_label(account: Account, request: Request) -> Response:
    """``GET /v2/labels/{id}``: addresses of the label."""
    found = _labelled(account, str(request.path_params["id"]))
    return answer({"label": label_links(api_url(request), found[1]), "customs_declaration": {"normal_printer": ""}})


async def v2_bulk_labels(account: Account, request: Request) -> Response:
    """``POST /v2/labels``: addresses of one file for many parcels."""
    body = read_json(await request.body())
    keys = [str(key) for key in (body.get("label") or {}).get("parcels") or []]
    for key in keys:
        _labelled(account, key)
    base, ids = f"{api_url(request)}/v2/labels", ",".join(keys)
    links = [f"{base}/normal_printer?ids={ids}&start_from={corner}" for corner in range(4)]
    return answer({"label": {"normal_printer": links, "label_printer": f"{base}/label_printer?ids={ids}"}})


async def v2_print(account: Account, request: Request) -> Response:
    """``GET /v2/labels/{printer}[/{id}]``: PDF, A4 with a starting position or A6."""
    printer, query = request.path_params["printer"], request.query_params
    if printer not in {"normal_printer", "label_printer"}:
        return answer({}, 404)
    if printer == "normal_printer" and query.get("start_from") not in {"0", "1", "2", "3"}:
        return answer({"message": "start_from must be between 0 and 3"}, 400)
    keys = [request.path_params["id"]] if "id" in request.path_params else query.get("ids", "").split(",")
    found = [_labelled(account, key) for key in keys]
    return _file(request, "label", found, A4 if printer == "normal_printer" else A6, media_type="application/pdf")


def _v3(account: Account, request: Request, keys: list[str]) -> Response:
    kind = request.path_params["type"]
    if kind not in V3_KINDS:
        return v3_error(400, "invalid", "Invalid document type.")
    found = [_find(account, key) for key in keys]
    present = [one for one in found if one is not None and _exists(*one, kind)]
    if len(present) < len(keys):
        return v3_error(404, "not_found", "No Parcel matches the given query.")
    size = PAPER.get(request.query_params.get("paper_size", ""), A6 if kind == "label" else A4)
    return _file(request, kind, present, size)


def _find(account: Account, key: str) -> tuple[Shipping, Parcel] | None:
    known = key.isascii() and key.isdigit() and account.parcel_owner(int(key)) is not None
    return owned(account, int(key)) if known else None


def _labelled(account: Account, key: str) -> tuple[Shipping, Parcel]:
    found = _find(account, key)
    if found is None or not has_label(found[1]):
        raise RefusedError(answer({}, 404))
    return found


def _exists(shipping: Shipping, parcel: Parcel, kind: str) -> bool:
    if not has_label(parcel) or kind == "air-waybill":
        return False
    return kind == "label" or shipping.to_address.get("country_code") in CUSTOMS_COUNTRIES


def _file(
    request: Request, kind: str, found: list[tuple[Shipping, Parcel]], size: tuple[int, int], *, media_type: str | None = None
) -> Response:
    accepted = request.headers.get("accept", "").partition(";")[0].strip()
    chosen = media_type or (accepted if accepted in MEDIA_TYPES else MEDIA_TYPES[0])
    pages = [f"{kind} {shipping.order_name} {parcel.id} {parcel.tracking_number}" for shipping, parcel in found]
    return Response(paper(pages, chosen, size=size), media_type=chosen)
