"""Who may look: whoever has the token; without one configured, programs and browsers of this machine only.

A request that a proxy passed on is not from this machine, whatever its address; and a browser that was led here under another host
name (DNS rebinding) is not either. Tokens are compared in constant time; the cookie holds a digest of the token, not the token.
"""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "sync_pipelines"
COOKIE_LASTS_S = 30 * 86_400

_OPEN = ("/static/", "/login")
"""Style and script, and the form that asks for the token."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

_CLOSED = "this page is shown on its own machine only; set SYNC_PIPELINES_TOKEN to open it to whoever has the token"


class Access:
    """The rule of one process.

    Args:
        token: The token; ``None`` for this machine only.
    """

    def __init__(self, token: str | None = None) -> None:
        self._digest = _digest(token) if token else None

    @property
    def has_token(self) -> bool:
        """Whether a token is asked for."""
        return self._digest is not None

    def opens(self, token: str) -> bool:
        """Whether this is the token."""
        return self._digest is not None and hmac.compare_digest(_digest(token), self._digest)

    @property
    def cookie(self) -> str:
        """The value of the cookie of somebody who gave the token."""
        return hmac.new(self._digest or b"", b"status page", hashlib.sha256).hexdigest()

    def refusal(self, request: Request) -> Response | None:
        """``None`` if the request may be answered; otherwise what is answered instead."""
        if request.url.path.startswith(_OPEN):
            return None
        if self._digest is None:
            return None if _is_from_here(request) else JSONResponse({"error": _CLOSED}, status_code=403)
        if self._has_token(request):
            return None
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"/login?next={quote(local_path(str(request.url.path)), safe='/')}", status_code=303)
        return JSONResponse({"error": "a token is needed"}, status_code=401, headers={"WWW-Authenticate": "Bearer"})

    def _has_token(self, request: Request) -> bool:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.opens(token.strip())
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self.cookie.encode())


class Guard:
    """Applies an `Access` to everything inside, and tells browsers to trust nothing from elsewhere.

    Args:
        app: What is guarded.
        access: The rule.
    """

    _POLICY = (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        b" form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    HEADERS = (
        (b"content-security-policy", _POLICY),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    )

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                message = {**message, "headers": [*given, *self.HEADERS]}  # type: ignore[misc]
            await send(message)

        refusal = self._access.refusal(Request(scope))
        await (refusal or self._app)(scope, receive, with_headers)  # type: ignore[arg-type]


def local_path(target: str) -> str:
    """The target if it is a path of this very page, else the front page: nobody is sent elsewhere after a login."""
    parts = urlsplit(target)
    is_local = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if is_local and target.isprintable() else "/"


def _is_from_here(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_host_name(request.headers.get("host", "")))


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
