"""Login with Amazon, and who may call: access tokens, restricted data tokens, roles (facts §2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sync_pipelines.sandbox.amazon.answers import error
from sync_pipelines.sandbox.amazon.world import Tenant, World

LIFETIME = 3600
_RESTRICTED_ORDERS = re.compile(r"^/orders/v0/orders(/[^/]+(/orderItems)?)?$")


@dataclass
class Grant:
    """What a token in circulation allows; ``paths`` are patterns of a restricted token, with its data elements."""

    tenant: Tenant
    expires_at: float
    paths: dict[str, frozenset[str]] | None = None


class Authority:
    """Issues and checks tokens for one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._grants: dict[str, Grant] = {}
        self._issued = 0

    def expire(self, tenant: str | None = None) -> None:
        """Ends the validity of all access tokens, or of one seller's."""
        for grant in self._grants.values():
            if tenant in {None, grant.tenant.name}:
                grant.expires_at = 0

    def allowed(self, request: Request, path: str) -> tuple[Grant, None] | tuple[None, Response]:
        """The grant behind a request, or the refusal."""
        token = request.headers.get("x-amz-access-token")
        if not token:
            return None, _denied("Access token is missing in the request header.")
        grant = self._grants.get(token)
        if grant is None or grant.tenant.is_revoked:
            return None, _denied("The access token you provided is revoked, malformed or invalid.")
        request.state.account = grant.tenant.name
        if grant.expires_at <= self._world.clock.now():
            return None, _denied("The access token you provided has expired.")
        if grant.paths is not None and not _elements(grant, path):
            return None, _denied("The restricted data token does not cover this resource.")
        return grant, None

    async def token(self, request: Request) -> Response:
        """``POST /auth/o2/token``."""
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        clients = {tenant.client_id: tenant.client_secret for tenant in self._world.tenants.values()}
        if clients.get(form.get("client_id", "")) != form.get("client_secret"):
            return _refused(401, "invalid_client", "Client authentication failed")
        if form.get("grant_type") != "refresh_token":
            return _refused(400, "unsupported_grant_type", "The grant type is not supported")
        known = {tenant.refresh_token: tenant for tenant in self._world.tenants.values()}
        tenant = known.get(form.get("refresh_token", ""))
        if tenant is None or tenant.is_revoked:
            return _refused(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
        request.state.account = tenant.name
        token = self._issue("Atza", Grant(tenant, self._world.clock.now() + LIFETIME))
        return JSONResponse(
            {"access_token": token, "token_type": "bearer", "expires_in": LIFETIME, "refresh_token": tenant.refresh_token}
        )

    async def restricted_token(self, request: Request, grant: Grant) -> Response:
        """``POST /tokens/2021-03-01/restrictedDataToken``."""
        body = await request.json()
        resources = body.get("restrictedResources") if isinstance(body, dict) else None
        if not resources or len(resources) > 50:
            return error(400, "InvalidRequest", "Request is missing or has invalid parameters", "Resource not provided.")
        paths: dict[str, frozenset[str]] = {}
        for resource in resources:
            path, elements = resource.get("path", ""), frozenset(resource.get("dataElements") or ())
            if resource.get("method") not in {"GET", "PUT", "POST", "DELETE"} or not path.startswith("/"):
                return error(400, "InvalidRequest", "Request is missing or has invalid parameters", "Resource not provided.")
            if _RESTRICTED_ORDERS.match(path) and not elements:
                return error(400, "InvalidRequest", "Request is missing or has invalid parameters", "dataElements is required.")
            pattern = "^" + re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(path)) + "$"
            paths[pattern] = paths.get(pattern, frozenset()) | elements
        if not grant.tenant.has_pii_role:
            return _denied("Application does not have access to one or more requested data elements.")
        token = self._issue("Atz.sprdt", Grant(grant.tenant, self._world.clock.now() + LIFETIME, paths))
        return JSONResponse({"restrictedDataToken": token, "expiresIn": LIFETIME})

    def _issue(self, prefix: str, grant: Grant) -> str:
        self._issued += 1
        token = f"{prefix}|sandbox-{grant.tenant.name}-{self._issued}"
        self._grants[token] = grant
        return token


def sees(grant: Grant, path: str, element: str) -> bool:
    """Whether a v0 answer may contain a restricted data element."""
    return grant.paths is not None and element in _elements(grant, path)


def _elements(grant: Grant, path: str) -> frozenset[str]:
    found = [elements for pattern, elements in (grant.paths or {}).items() if re.match(pattern, path)]
    return frozenset({"path"}).union(*found) if found else frozenset()


def _denied(details: str) -> Response:
    return error(403, "Unauthorized", "Access to requested resource is denied.", details)


def _refused(status: int, code: str, description: str) -> Response:
    return JSONResponse({"error": code, "error_description": description}, status_code=status)
