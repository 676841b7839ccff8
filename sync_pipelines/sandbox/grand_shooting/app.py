"""A look-alike of Grand Shooting's API v3: one main account and several secondaries.

Base URL ``…/grand_shooting/v3``. Accounts, with obviously invented tokens (``Authorization: Bearer sandbox-<name>-token``):
``main`` (account_id 12), ``paris`` 34, ``lyon`` 35, ``berlin`` 36, ``madrid`` 37, ``milan`` 38. An OAuth token
(``sandbox-<name>-oauth``) needs the scheme ``access_token`` instead; mixed up, both are refused.

Control, beside the common routes; every one takes ``account`` (default ``main``):

- ``GET  /_control/truth?account=``       ``{"references": {ref: reference}}``
- ``POST /_control/mutate``               ``{"operations": n, "seed": s}``: creates, updates and deletes with their webhooks
- ``POST /_control/foreign_edit``         ``{"account", "ref", "changes"}``: somebody else edits (``changes`` null: deletes)
- ``POST /_control/populate``             ``{"account", "references", "seed"}``: starts over with that many
- ``POST /_control/account``              ``{"account", "down", "revoked", "unlimited", "max_rps"}``: any of them
- ``POST /_control/webhooks``             a `Weather`; ``GET`` tells counts and whether the sender is idle
- ``POST /_control/webhooks/flush``       sends everything now, retries included
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import HTML_503, look_alike
from sync_pipelines.sandbox.common.quota import SlidingWindow
from sync_pipelines.sandbox.grand_shooting.listing import list_page
from sync_pipelines.sandbox.grand_shooting.webhooks import TOPICS, Post, Weather, Webhooks
from sync_pipelines.sandbox.grand_shooting.world import Account, Refused, mutate, populate

ACCOUNT_IDS = {"main": 12, "paris": 34, "lyon": 35, "berlin": 36, "madrid": 37, "milan": 38}
REFERENCES = {"demo": 120, "full": 50_000}
MAX_BULK = 100

Handler = Callable[["World", Account, Request], Awaitable[Response]]


class World:
    """All accounts of one look-alike, and the webhooks of each."""

    def __init__(self, clock: Clock, *, seed: int, references: int, post: Post | None) -> None:
        self.accounts = {name: Account(name, number, clock) for name, number in ACCOUNT_IDS.items()}
        self.webhooks = {name: Webhooks(account.account_id, clock, post=post) for name, account in self.accounts.items()}
        for name, account in self.accounts.items():
            account.changed = self.webhooks[name].add
        populate(self.accounts["main"], references=references, seed=seed)

    def account_of(self, authorization: str) -> Account:
        """Whose token this is.

        Raises:
            Refused: 401 for an unknown, revoked or wrongly announced token.
        """
        scheme, _, token = authorization.partition(" ")
        for account in self.accounts.values():
            known = {("Bearer", account.token), ("access_token", f"sandbox-{account.name}-oauth")}
            if (scheme, token) in known and not account.revoked:
                return account
        raise Refused(401, "Missing authentication")


def create_app(*, seed: int = 1, size: str = "demo", clock: Clock | None = None, post: Post | None = None) -> Starlette:
    """The look-alike.

    Args:
        seed: Same seed, same data.
        size: ``demo`` (120 references in the main account) or ``full`` (50,000).
        clock: For tests that move time.
        post: For tests that catch webhooks without a server.
    """
    clock = clock or Clock()
    world = World(clock, seed=seed, references=REFERENCES[size], post=post)

    def route(path: str, handler: Handler, methods: list[str]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _answer(world, handler, request)

        return Route(f"/v3{path}", endpoint, methods=methods)

    return look_alike(
        [
            route("/account/me", _me, ["GET"]),
            route("/reference", _list, ["GET"]),
            route("/reference", _upsert, ["POST"]),
            route("/reference/bulk", _bulk, ["POST"]),
            route("/reference/{id:int}", _read, ["GET"]),
            route("/reference/{id:int}", _delete, ["DELETE"]),
            route("/reference/{id:int}/extra", _extra, ["PUT"]),
            route("/webhook", _subscriptions, ["GET"]),
            route("/webhook", _subscribe, ["POST"]),
            route("/webhook/{id:int}", _resubscribe, ["PUT"]),
            route("/webhook/{id:int}", _unsubscribe, ["DELETE"]),
        ],
        clock=clock,
        control=list(_control(world, clock)),
    )


async def _answer(world: World, handler: Handler, request: Request) -> Response:
    try:
        account = world.account_of(request.headers.get("authorization", ""))
        request.state.account = account.name
        if account.down:
            return HTMLResponse(HTML_503, 503)
        if not account.unlimited and account.quota.take() > 0:
            return JSONResponse({"errors": [{"message": "Rate limit exceeded"}]}, 429)
        return await handler(world, account, request)
    except Refused as refusal:
        return JSONResponse({"statusCode": refusal.status, "error": "Refused", "message": refusal.message}, refusal.status)


async def _body(request: Request) -> Any:
    try:
        return msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "Invalid request payload JSON format") from None


async def _me(_: World, account: Account, __: Request) -> Response:
    mine = {"account_id": account.account_id, "company": account.name.title(), "api_host": "api.sandbox.invalid"}
    return JSONResponse({"account_id": account.account_id, "company": mine["company"], "login": account.name, "accounts": [mine]})


async def _list(_: World, account: Account, request: Request) -> Response:
    offset = request.headers.get("offset", "0")
    if not offset.isdigit():
        raise Refused(400, '"offset" must be a number')
    page, total = list_page(account, request.query_params.multi_items(), int(offset))
    return JSONResponse(page, headers={"X-Total-Count": str(total), "X-Offset": offset, "X-Count": str(len(page))})


async def _upsert(_: World, account: Account, request: Request) -> Response:
    return JSONResponse(account.upsert([await _body(request)])[0])


async def _bulk(_: World, account: Account, request: Request) -> Response:
    bodies = await _body(request)
    if not isinstance(bodies, list) or not 1 <= len(bodies) <= MAX_BULK:
        raise Refused(400, f"between 1 and {MAX_BULK} references are allowed")
    written = account.upsert(bodies)
    return JSONResponse(
        [{"reference_id": item["reference_id"], "ref": item["ref"], "date_mod": item["date_mod"]} for item in written]
    )


async def _read(_: World, account: Account, request: Request) -> Response:
    reference = account.by_id.get(request.path_params["id"])
    if reference is None:
        raise Refused(404, "Reference not found")
    return JSONResponse(reference)


async def _delete(_: World, account: Account, request: Request) -> Response:
    account.delete(request.path_params["id"])
    return JSONResponse("OK")


async def _extra(_: World, account: Account, request: Request) -> Response:
    body = await _body(request)
    if not isinstance(body, dict) or not isinstance(body.get("extra"), dict):
        raise Refused(400, '"extra" is required')
    return JSONResponse(account.set_extra(request.path_params["id"], body["extra"]))


async def _subscriptions(world: World, account: Account, _: Request) -> Response:
    return JSONResponse([subscription.as_json() for subscription in world.webhooks[account.name].subscriptions.values()])


async def _subscribe(world: World, account: Account, request: Request) -> Response:
    body = await _body(request)
    if not isinstance(body, dict) or set(body) != {"address", "topic"} or body["topic"] not in TOPICS:
        raise Refused(400, '"address" and a known "topic" are required')
    number = request.path_params.get("id")
    if number is not None and number not in world.webhooks[account.name].subscriptions:
        raise Refused(404, "Webhook not found")
    return JSONResponse(world.webhooks[account.name].subscribe(body["address"], body["topic"], number).as_json())


async def _resubscribe(world: World, account: Account, request: Request) -> Response:
    return await _subscribe(world, account, request)


async def _unsubscribe(world: World, account: Account, request: Request) -> Response:
    if world.webhooks[account.name].subscriptions.pop(request.path_params["id"], None) is None:
        raise Refused(404, "Webhook not found")
    return JSONResponse("OK")


def _control(world: World, clock: Clock) -> list[Route]:
    async def arguments(request: Request) -> tuple[Account, dict[str, Any]]:
        given = json.loads(await request.body() or b"{}")
        return world.accounts[given.pop("account", request.query_params.get("account", "main"))], given

    async def truth(request: Request) -> Response:
        account, _ = await arguments(request)
        return JSONResponse({"references": account.truth()})

    async def change(request: Request) -> Response:
        account, given = await arguments(request)
        return JSONResponse(mutate(account, **given))

    async def foreign_edit(request: Request) -> Response:
        account, given = await arguments(request)
        if given["changes"] is None:
            account.delete(account.by_ref[given["ref"]]["reference_id"])
        else:
            account.upsert([{"ref": given["ref"], **given["changes"]}])
        return Response(status_code=204)

    async def fill(request: Request) -> Response:
        account, given = await arguments(request)
        for reference_id in list(account.by_id):
            reference = account.by_id.pop(reference_id)
            del account.by_ref[reference["ref"]]
        account.ids.clear()
        account.ean_holder.clear()
        populate(account, references=given["references"], seed=given.get("seed", 1))
        return Response(status_code=204)

    async def settings(request: Request) -> Response:
        account, given = await arguments(request)
        if (max_rps := given.pop("max_rps", None)) is not None:
            account.quota = SlidingWindow(clock, limit=max_rps, seconds=1.0)
        for name, value in given.items():
            if name not in {"down", "revoked", "unlimited"}:
                return JSONResponse({"unknown": name}, 400)
            setattr(account, name, bool(value))
        return Response(status_code=204)

    async def set_weather(request: Request) -> Response:
        account, given = await arguments(request)
        world.webhooks[account.name].set_weather(Weather(**given))
        return Response(status_code=204)

    async def weather(request: Request) -> Response:
        account, _ = await arguments(request)
        webhooks = world.webhooks[account.name]
        return JSONResponse({**webhooks.counts, "idle": webhooks.idle})

    async def flush(request: Request) -> Response:
        account, _ = await arguments(request)
        return JSONResponse({"delivered": await run_in_threadpool(world.webhooks[account.name].flush)})

    return [
        Route("/_control/truth", truth),
        Route("/_control/mutate", change, methods=["POST"]),
        Route("/_control/foreign_edit", foreign_edit, methods=["POST"]),
        Route("/_control/populate", fill, methods=["POST"]),
        Route("/_control/account", settings, methods=["POST"]),
        Route("/_control/webhooks", set_weather, methods=["POST"]),
        Route("/_control/webhooks", weather),
        Route("/_control/webhooks/flush", flush, methods=["POST"]),
    ]
