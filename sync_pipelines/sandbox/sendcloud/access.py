"""Who may call: keys, OAuth tokens, quotas, and SendCloud's ways of saying no."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.sandbox.sendcloud.profiles import Key
from sync_pipelines.sandbox.sendcloud.world import Account, World

Endpoint = Callable[[Account, Request], Awaitable[Response]]

TOKEN_SECONDS = 3600
SCOPES = "api read:order write:order read:parcel write:parcel read:integration write:integration read:price"


class RefusedError(Exception):
    """Ends a call with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def v3_error(status: int, code: str | None, detail: str, **more: Any) -> Response:
    """One error in V3's shape; ``more`` holds ``source``, ``title``, …."""
    return answer({"errors": [{"status": str(status), "code": code, "detail": detail, **more}]}, status)


def read_json(body: bytes) -> Any:
    """The body of a V3 call.

    Raises:
        RefusedError: It is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise RefusedError(v3_error(400, "invalid", f"JSON parse error - {error}", source={"pointer": "/data"})) from error


def v2_error(request: Request, status: int, message: str) -> Response:
    """V2's error object."""
    path = request.url.path
    return answer({"error": {"code": status, "request": path[path.index("api/v2") :], "message": message}}, status)


class Gate:
    """Lets calls through to handlers: authentication first, then the account's quota."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tokens: dict[str, tuple[str, Key, float]] = {}

    def open(self, endpoint: Endpoint, *, quota: str | None = None) -> Callable[[Request], Awaitable[Response]]:
        """Wraps a handler. ``quota`` overrides the choice by method (``reads`` or ``writes``)."""

        async def handle(request: Request) -> Response:
            try:
                account, key = self._authenticate(request)
                request.state.account, request.state.key = account.profile.name, key
                self._spend(account, quota or ("reads" if request.method in {"GET", "HEAD"} else "writes"))
                account.settle()
                return await endpoint(account, request)
            except RefusedError as refusal:
                return refusal.response

        return handle

    async def token(self, request: Request) -> Response:
        """``POST /oauth2/token``: client credentials."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return answer({"error": "unsupported_grant_type", "error_description": "Not supported.", "status_code": 400}, 400)
        found = self._basic(request)
        if found is None:
            return answer(
                {"error": "invalid_client", "error_description": "Client authentication failed.", "status_code": 401}, 401
            )
        token = f"ory_at_{secrets.token_hex(24)}"
        self._tokens[token] = (found[0].profile.name, found[1], self._world.clock.now() + TOKEN_SECONDS)
        scope = form.get("scope", SCOPES)
        return answer({"access_token": token, "expires_in": TOKEN_SECONDS, "scope": scope, "token_type": "bearer"})

    def revoke_tokens(self) -> None:
        """Makes every access token invalid at once."""
        self._tokens.clear()

    def _basic(self, request: Request) -> tuple[Account, Key] | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            public, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        found = self._world.keys.get(public)
        return found if found and found[1].secret == secret else None

    def _authenticate(self, request: Request) -> tuple[Account, Key]:
        header = request.headers.get("authorization", "")
        if not header:
            raise RefusedError(self._unauthenticated(request, "Authentication credentials were not provided."))
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            token = self._tokens.get(value)
            if token and token[2] > self._world.clock.now():
                return self._world.accounts[token[0]], token[1]
        elif not self._world.settings.oauth_only:
            found = self._basic(request)
            if found:
                return found
        raise RefusedError(self._unauthenticated(request, "Invalid username/password."))

    @staticmethod
    def _unauthenticated(request: Request, detail: str) -> Response:
        if "/api/v2/" in request.url.path:
            return v2_error(request, 401, detail)
        return v3_error(401, "authentication_failed", detail, source={"pointer": "/data"})

    def _spend(self, account: Account, name: str) -> None:
        quota = account.reads if name == "reads" else account.writes
        if quota.take() <= 0:
            return
        settings = account.settings
        headers = {"Retry-After": str(settings.retry_after)} if settings.retry_after is not None else {}
        account.throttled += 1
        if settings.throttle_body == "none" or (settings.throttle_body == "mixed" and account.throttled % 2):
            raise RefusedError(Response(status_code=429, headers=headers))
        limit = f"{settings.reads_per_minute if name == 'reads' else settings.writes_per_minute} per 1 minute"
        error = {"code": "hit_rate_limit", "detail": f"Rate limit exceeded: {limit}", "title": "Rate limit exceeded", "status": 429}
        raise RefusedError(answer({"errors": [error]}, 429, headers))
