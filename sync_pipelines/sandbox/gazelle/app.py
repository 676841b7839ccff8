"""Gazelle's look-alike: ``POST /graphql/private`` executed against the published schema, and the OAuth pages.

Credentials: client ``sandbox-client`` / ``sandbox-secret``, first refresh token ``sandbox-refresh``, API key ``sandbox-api-key``.
Limits (none are published; these are stricter than what integrators saw): 20 requests/s, complexity 250,000, depth 13.

``GET  /_control/truth``     what a perfect client would have stored, by stream (``?stream=clients`` for one)
``POST /_control/mutate``    ``{"operations": n, "seed": s}``: a mixture; ``{"names": ["move_piano", …], "seed": s}``: exactly these
``POST /_control/edit``      ``{"collection", "id", "fields", "touch"}``: sets fields of one object
``POST /_control/vanish``    ``{"collection", "id"}``: deletes one object
``POST /_control/meanwhile`` ``{"field": "allClients", "after": 3, "times": 1, "names": […], "seed": s}``: changes between two pages
``POST /_control/schema``    a `schema.Variant` in JSON
``POST /_control/settings`` ``rate, burst, max_complexity, max_depth, max_page_size, null_nodes, introspection, expires_in,
                             rotates``
``POST /_control/errors``    ``{"errors": […], "data": …, "field": "allClients", "times": 1}``: errors inside HTTP 200
``POST /_control/tokens``    ``{"action": "expire" | "revoke" | "start_over"}``; ``GET`` counts the token endpoint's answers
``GET  /_control/reads``     how many full nodes each root field returned and how many requests asked for it; ``DELETE`` forgets
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.control import look_alike
from sync_pipelines.sandbox.common.quota import TokenBucket
from sync_pipelines.sandbox.gazelle.changes import Changes
from sync_pipelines.sandbox.gazelle.engine import Engine, PlannedErrors
from sync_pipelines.sandbox.gazelle.oauth import Provider
from sync_pipelines.sandbox.gazelle.schema import Variant
from sync_pipelines.sandbox.gazelle.truth import truth
from sync_pipelines.sandbox.gazelle.world import World


def create_app(*, seed: int = 1, size: str = "demo", clock: Clock | None = None) -> Starlette:
    """The look-alike.

    Args:
        seed: Same seed and day, same data.
        size: ``tiny`` (20 clients), ``demo`` (60 clients) or ``full`` (5,000 clients, 7,000 pianos, 60,000 timeline entries).
        clock: Moves tokens, quotas and ``updatedAt``.
    """
    time = clock or Clock()
    world = World(seed=seed, size=size, now=time.utc())
    changes = Changes(world, time.utc)
    provider = Provider(time)
    engine = Engine(world, changes)
    quota = TokenBucket(time, rate=20, burst=40)

    async def graphql(request: Request) -> Response:
        account = provider.account_of(request)
        if account is None:
            return JSONResponse({"error": "The access token is invalid or has expired."}, 401)
        request.state.account = account
        if (wait := quota.take()) > 0:
            return JSONResponse({"error": "Too many requests"}, 429, {"Retry-After": str(math.ceil(wait))})
        try:
            question = json.loads(await request.body())
            query, variables = str(question["query"]), question.get("variables") or {}
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"errors": [{"message": "No query string was present"}]}, 400)
        return JSONResponse(engine.answer(query, variables))

    async def show_truth(request: Request) -> Response:
        return JSONResponse(truth(world, request.query_params.get("stream")))

    async def mutate(request: Request) -> Response:
        wish = await request.json()
        if "names" in wish:
            return JSONResponse(changes.run(wish["names"], seed=wish.get("seed", 0)))
        return JSONResponse(changes.run_random(wish["operations"], seed=wish.get("seed", 0)))

    async def edit(request: Request) -> Response:
        wish = await request.json()
        changes.edit(wish["collection"], wish["id"], wish["fields"], touch=wish.get("touch", True))
        return Response(status_code=204)

    async def vanish(request: Request) -> Response:
        wish = await request.json()
        world.delete(wish["collection"], wish["id"])
        return Response(status_code=204)

    async def meanwhile(request: Request) -> Response:
        engine.meanwhile(**await request.json())
        return Response(status_code=204)

    async def schema(request: Request) -> Response:
        engine.use(Variant.from_json(await request.json()))
        return Response(status_code=204)

    async def settings(request: Request) -> Response:
        wish: dict[str, Any] = await request.json()
        owners: tuple[Any, ...] = (quota, engine, engine.context, provider)
        for name, value in wish.items():
            owner = next((owner for owner in owners if name in vars(owner)), None)
            if owner is None:
                return JSONResponse({"unknown": name}, 400)
            setattr(owner, name, value)
        return Response(status_code=204)

    async def errors(request: Request) -> Response:
        engine.planned_errors.append(PlannedErrors(**await request.json()))
        return Response(status_code=204)

    async def tokens(request: Request) -> Response:
        if request.method == "POST":
            action = (await request.json())["action"]
            {"expire": provider.expire_access_tokens, "revoke": provider.revoke_everything, "start_over": provider.start_over}[
                action
            ]()
        return JSONResponse(asdict(provider.counts))

    async def reads(request: Request) -> Response:
        if request.method == "DELETE":
            engine.reads.clear()
        return JSONResponse({name: asdict(count) for name, count in engine.reads.items()})

    return look_alike(
        [
            Route("/graphql/private", graphql, methods=["POST"]),
            Route("/graphql/private/", graphql, methods=["POST"]),
            *provider.routes(),
        ],
        clock=time,
        control=[
            Route("/_control/truth", show_truth),
            Route("/_control/mutate", mutate, methods=["POST"]),
            Route("/_control/edit", edit, methods=["POST"]),
            Route("/_control/vanish", vanish, methods=["POST"]),
            Route("/_control/meanwhile", meanwhile, methods=["POST"]),
            Route("/_control/schema", schema, methods=["POST"]),
            Route("/_control/settings", settings, methods=["POST"]),
            Route("/_control/errors", errors, methods=["POST"]),
            Route("/_control/tokens", tokens, methods=["GET", "POST"]),
            Route("/_control/reads", reads, methods=["GET", "DELETE"]),
        ],
    )
