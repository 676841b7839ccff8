"""SendCloud's error bodies, all shapes of them, as one list of `Fault` (facts §3.6, §4.7, §1.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.jsons import Json, decode_json

_S3_CODE = re.compile(rb"<Code>([^<]+)</Code>")
_S3_MESSAGE = re.compile(rb"<Message>([^<]+)</Message>")


@dataclass(frozen=True)
class Fault:
    """One complaint of the vendor.

    Attributes:
        code: The vendor's code, an open vocabulary; ``None`` if it gave none.
        detail: The vendor's words.
        place: What it is about: a JSON pointer, a query parameter, a header or a field name.
        status: HTTP status inside the body, which may differ from the answer's own.
    """

    code: str | None
    detail: str
    place: str | None = None
    status: int | None = None

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        return f"{self.detail}{where}"


def parse_faults(body: bytes) -> list[Fault]:
    """Reads an error body of any known shape; an unknown or empty one gives an empty list."""
    try:
        value = decode_json(body)
    except ContractError:
        return list(_from_xml(body))
    return list(_from_json(value))


def explain(body: bytes, *, status: int | None = None) -> str:
    """The vendor's words on one line, or a stand-in if it had none."""
    faults = parse_faults(body)
    return "; ".join(str(fault) for fault in faults) or f"no explanation (HTTP {status or '?'})"


def still_processing(faults: list[Fault]) -> bool:
    """Whether a batch was refused only because one of its orders is still being stored (facts §3.5): pointer ``/data`` alone."""
    return any(fault.code == "invalid" and fault.place == "/data" for fault in faults)


def _from_json(value: Json) -> Iterator[Fault]:
    if isinstance(value, list):
        for item in value:
            yield from _from_item(item)
        return
    if not isinstance(value, dict):
        return
    errors, error, detail = value.get("errors"), value.get("error"), value.get("detail")
    if isinstance(errors, list):
        for item in errors:
            yield from _from_item(item)
    elif isinstance(errors, dict):
        yield from _from_item(errors)
    elif isinstance(error, dict):
        yield Fault(_text(error.get("code")), _text(error.get("message")) or "", status=_status(error.get("code")))
    elif isinstance(error, str):
        yield Fault(error, _text(value.get("error_description")) or error, status=_status(value.get("status_code")))
    elif isinstance(detail, str):
        yield Fault(None, detail)
    elif isinstance(detail, list):
        for item in detail:
            if isinstance(item, dict):
                place = "/".join(str(part) for part in item.get("loc") or [])
                yield Fault(_text(item.get("type")), _text(item.get("msg")) or "", place or None)
    elif isinstance(value.get("message"), str):
        yield Fault(_text(value.get("status")), value["message"])


def _from_item(item: Json) -> Iterator[Fault]:
    if isinstance(item, str):
        yield Fault(None, item)
    if not isinstance(item, dict):
        return
    source = item.get("source")
    places = source if isinstance(source, dict) else {}
    place = places.get("pointer") or places.get("parameter") or places.get("header") or item.get("field")
    detail = item.get("detail") or item.get("message") or item.get("title") or ""
    yield Fault(_text(item.get("code")), _text(detail) or "", _text(place), _status(item.get("status")))


def _from_xml(body: bytes) -> Iterator[Fault]:
    code, message = _S3_CODE.search(body), _S3_MESSAGE.search(body)
    if code:
        yield Fault(code[1].decode(errors="replace"), (message or code)[1].decode(errors="replace"))


def _text(value: Json) -> str | None:
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _status(value: Json) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) == 3 else None
