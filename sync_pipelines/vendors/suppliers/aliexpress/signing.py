"""AliExpress' signature (``apis/aliexpress/facts.md`` 3): HMAC-SHA256 over the sorted parameters, upper-case hex."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping


def sign(parameters: Mapping[str, str], secret: str, *, path: str = "") -> str:
    """The ``sign`` of a call.

    Args:
        parameters: Everything that will be sent except ``sign``; no empty values, whose treatment is undocumented.
        secret: The app's secret.
        path: API path of a system call (``/auth/token/refresh``), empty for a business call.

    >>> sign({"app_key": "12345678", "code": "0_abc", "sign_method": "sha256", "timestamp": "1700000000000"}, "test_secret",
    ...      path="/auth/token/create")
    '2A5385C90BA4557C87244CF1185379157A2A31D7D285298E9753FD6A7FD7F36C'
    """
    text = path + "".join(f"{name}{parameters[name]}" for name in sorted(parameters))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest().upper()


def signed(parameters: Mapping[str, str], secret: str, *, path: str = "") -> dict[str, str]:
    """The parameters without empty values, with ``sign_method`` and ``sign``."""
    full = {name: value for name, value in parameters.items() if value} | {"sign_method": "sha256"}
    return full | {"sign": sign(full, secret, path=path)}
