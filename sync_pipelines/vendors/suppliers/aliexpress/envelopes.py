"""AliExpress' two envelope modes, its many ways to write a list, and its error answers (``apis/aliexpress/facts.md`` 5 and 7)."""

from __future__ import annotations

import re
from typing import Any

from sync_pipelines.core.errors import AuthError, ContractError, DataError, SyncError, TransientError
from sync_pipelines.core.jsons import Json

TOKEN_CODES = frozenset({"IllegalAccessToken", "27"})
ACCESS_CODES = frozenset(
    {
        "IncompleteSignature",
        "InvalidAppkey",
        "InvalidAppKey",
        "InsufficientPermission",
        "IllegalRefreshToken",
        "AUTH_TYPE_UNSUPPORTED",
    }
)
LIMIT_CODES = frozenset({"ApiCallLimit", "7"})
PASSING_CODES = frozenset({"ServiceUnavailable", "InternalError", "ServiceTimeout"})
UNKNOWN_ORDER = "isv.insufficient-permission"

_BAN = re.compile(r"last (?:for )?(\d+) (?:more )?second")


class TokenRefused(AuthError):
    """The access token is not valid (any more); a new one may help."""


class CallLimited(SyncError):
    """The platform throttles this call; ``seconds`` is the ban it names."""

    def __init__(self, message: str, *, account: str, seconds: float) -> None:
        super().__init__(message, account=account)
        self.seconds = seconds


class NotYours(DataError):
    """The object is unknown, or somebody else's: the platform does not tell which."""


def payload(answer: Json, method: str) -> dict[str, Any]:
    """What is inside the envelope, whichever mode it has.

    Raises:
        ContractError: It is not an object.
    """
    if not isinstance(answer, dict):
        raise ContractError(f"{method}: the answer is no object")
    inner = answer.get(method.replace(".", "_") + "_response", answer)
    inner = inner.get("resp_result", inner) if isinstance(inner, dict) else inner
    if not isinstance(inner, dict):
        raise ContractError(f"{method}: the envelope holds no object")
    return inner


def items(value: Json) -> list[Any]:
    """A list in any of its shapes: an array, an object with one key around it, a bare object for a single element, nothing.

    >>> items([1, 2]), items({"number": [1, 2]}), items({"promo": {"a": 1, "b": 2}}), items({"a": 1, "b": 2}), items(None)
    ([1, 2], [1, 2], [{'a': 1, 'b': 2}], [{'a': 1, 'b': 2}], [])
    """
    if value is None or value in ("", {}):
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        return only if isinstance(only, list) else [only]
    return [value]


def refusal(answer: Json, account: str) -> SyncError | None:
    """The error an answer of HTTP 200 stands for; ``None`` if it is none."""
    if not isinstance(answer, dict):
        return None
    body = answer.get("error_response")
    if body is None and str(answer.get("code", "0")) != "0" and "type" in answer:
        body = answer
    if not isinstance(body, dict):
        return None
    code, sub_code = str(body.get("code", "")), str(body.get("sub_code", ""))
    text = f"{account}: AliExpress answers {code}{f' ({sub_code})' if sub_code else ''}"
    if code in LIMIT_CODES:
        said = f"{body.get('msg', '')} {body.get('message', '')} {body.get('sub_msg', '')}"
        ban = _BAN.search(said)
        return CallLimited(text, account=account, seconds=float(ban[1]) if ban else 1.0)
    if code in TOKEN_CODES:
        return TokenRefused(text, account=account)
    if sub_code == UNKNOWN_ORDER:
        return NotYours(text, account=account)
    if code in ACCESS_CODES:
        return AuthError(f"{text}; check the app's key, secret and permissions", account=account)
    if code in PASSING_CODES or sub_code.startswith("isp.") or body.get("type") in {"ISP", "SYSTEM"}:
        return TransientError(text, account=account)
    return DataError(text, account=account)
