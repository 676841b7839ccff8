"""The look-alike's OAuth 2 provider: authorization code, refresh with rotation, API key.

A refresh token works once; its successor comes with the answer. Asking again with the old one is refused and counted.
Refresh tokens are signed, so that those of an earlier process are still good in the next one, as at the vendor.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.common.clock import Clock

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"
API_KEY = "sandbox-api-key"
FIRST_REFRESH_TOKEN = "sandbox-refresh"
_SIGNING_KEY = b"sandbox"


@dataclass
class TokenCounts:
    """How often the token endpoint was used."""

    issued: int = 0
    refreshed: int = 0
    refused: int = 0


class Provider:
    """Issues and checks tokens.

    Args:
        clock: Tells when access tokens expire.

    Attributes:
        expires_in: Lifetime of new access tokens in seconds.
        rotates: Whether a refresh answer carries a new refresh token; otherwise the old one stays good.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.expires_in = 7200
        self.rotates = True
        self.counts = TokenCounts()
        self._codes: dict[str, str] = {}
        self._access: dict[str, float] = {}
        self._used: set[str] = set()
        self._granted: set[str] | None = None
        """After a withdrawal: the refresh tokens issued since; before: any token with our signature is good."""

    def routes(self) -> list[BaseRoute]:
        """The provider's pages as the vendor has them."""
        return [
            Route("/developer/oauth/authorize", self._authorize),
            Route("/developer/oauth/token", self._token, methods=["POST"]),
        ]

    def account_of(self, request: Request) -> str | None:
        """Who asks, or ``None`` where the request must be answered 401."""
        key = request.headers.get("x-gazelle-api-key")
        if key is not None:
            return "key" if key == API_KEY and "authorization" not in request.headers else None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_good = scheme.lower() == "bearer" and self._access.get(token, 0.0) > self._clock.now()
        return "oauth" if is_good else None

    def expire_access_tokens(self) -> None:
        """All access tokens are dead from now on; refresh tokens live."""
        self._access.clear()

    def revoke_everything(self) -> None:
        """The user withdrew the consent."""
        self._access.clear()
        self._granted = set()

    def start_over(self) -> None:
        """Makes the first refresh token good again."""
        self._access.clear()
        self._used.clear()
        self._granted = None

    async def _authorize(self, request: Request) -> Response:
        """Agrees at once, as a user who clicks "authorize"."""
        query = request.query_params
        if query.get("client_id") != CLIENT_ID or query.get("response_type") != "code" or not query.get("redirect_uri"):
            return JSONResponse({"error": "invalid_request"}, 400)
        code = secrets.token_hex(8)
        self._codes[code] = query["redirect_uri"]
        back = {"code": code} | ({"state": query["state"]} if "state" in query else {})
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-type", "").startswith("application/json"):
            form = json.loads(body)
        else:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return self._refuse("invalid_client", 401)
        match form.get("grant_type"):
            case "authorization_code":
                if self._codes.pop(str(form.get("code")), None) != form.get("redirect_uri"):
                    return self._refuse("invalid_grant", 400)
                return self._issue(None)
            case "refresh_token":
                if not self._is_good(str(form.get("refresh_token"))):
                    return self._refuse("invalid_grant", 400)
                self.counts.refreshed += 1
                return self._issue(form["refresh_token"])
            case _:
                return self._refuse("unsupported_grant_type", 400)

    def _refuse(self, error: str, status: int) -> Response:
        self.counts.refused += 1
        return JSONResponse({"error": error, "error_description": "The look-alike refuses this request."}, status)

    def _issue(self, used: str | None) -> Response:
        access = secrets.token_hex(16)
        self._access[access] = self._clock.now() + self.expires_in
        self.counts.issued += 1
        answer = {
            "access_token": access, "token_type": "Bearer", "expires_in": self.expires_in, "created_at": int(self._clock.now()),
        }  # fmt: skip
        if used is None or self.rotates:
            self._used.add(used or "")
            answer["refresh_token"] = _signed(secrets.token_hex(8))
            if self._granted is not None:
                self._granted.add(str(answer["refresh_token"]))
        return JSONResponse(answer)

    def _is_good(self, token: str) -> bool:
        if token in self._used or (self._granted is not None and token not in self._granted):
            return False
        return token == FIRST_REFRESH_TOKEN or hmac.compare_digest(token, _signed(token.partition(".")[0]))


def _signed(word: str) -> str:
    return f"{word}.{hmac.new(_SIGNING_KEY, word.encode(), hashlib.sha256).hexdigest()[:16]}"
