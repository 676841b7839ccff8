"""AliExpress' gateway manners: signatures, envelopes and error answers (``facts.md`` 2, 3, 5, 7); no client's code in it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Listed:
    """A list that the wrapped envelope shows as an object with one key, and a single element of it as a bare object."""

    key: str
    items: list[Any]


def is_signed(parameters: dict[str, str], *, secret: str, path: str | None) -> bool:
    """Whether ``sign`` is right.

    Args:
        parameters: Everything sent, query and form merged.
        secret: The app's secret.
        path: The API path of a ``/rest`` call; ``None`` on ``/sync``.
    """
    names = sorted(name for name in parameters if name != "sign")
    joined = "".join(name + parameters[name] for name in names)
    if parameters.get("sign_method") == "md5":
        expected = hashlib.md5(f"{secret}{joined}{secret}".encode()).hexdigest()  # noqa: S324 (the vendor's legacy scheme)
    else:
        method = parameters.get("method", "")
        prefix = path if path is not None else (method if "/" in method else "")
        expected = hmac.new(secret.encode(), (prefix + joined).encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.upper(), parameters.get("sign", ""))


def envelope(method: str, answer: Object, *, simplify: bool, request_id: str) -> Object:
    """One of the two envelope modes: wrapped (live types) or simplified (plain arrays, numbers and booleans as text)."""
    if simplify:
        return {**_plain(answer), "code": "0", "request_id": request_id}
    key = (method if method.startswith("/") else method.replace(".", "_")) + "_response"
    return {key: {**_wrapped(answer), "request_id": request_id, "_trace_id_": f"trace-{request_id}"}}


def error(code: str, message: str, request_id: str, *, sub_code: str = "", kind: str = "ISV") -> Object:
    """``error_response``, the answer to a refused business call."""
    body = {"type": kind, "code": code, "msg": message, "request_id": request_id}
    return {"error_response": body | ({"sub_code": sub_code, "sub_msg": message} if sub_code else {})}


def flat_error(code: str, message: str, request_id: str) -> Object:
    """The error shape of ``/rest``."""
    return {"type": "ISV", "code": code, "message": message, "request_id": request_id}


def _wrapped(value: Any) -> Any:
    match value:
        case Listed(key=key, items=[only]):
            return {key: _wrapped(only)}
        case Listed(key=key, items=items):
            return {key: [_wrapped(item) for item in items]}
        case dict():
            return {name: _wrapped(item) for name, item in value.items()}
        case list():
            return [_wrapped(item) for item in value]
        case _:
            return value


def _plain(value: Any) -> Any:
    match value:
        case Listed(items=items):
            return [_plain(item) for item in items]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return value
