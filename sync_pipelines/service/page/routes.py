"""Every address of the page, and what it answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psycopg
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines.core.faults import describe
from sync_pipelines.overview.reading import MOST_DAYS
from sync_pipelines.overview.watched import WatchedStream
from sync_pipelines.service.page import openapi, views
from sync_pipelines.service.page.access import COOKIE, COOKIE_LASTS_S, Access, Guard, local_path
from sync_pipelines.service.page.metrics import CONTENT_TYPE_LATEST, exposition
from sync_pipelines.service.page.pictures import Pictures

STATIC = Path(__file__).parent / "static"

FRESH = "x-fresh"
"""The page's script asks with this header."""

_LOGIN_LIMIT = 4_096
_LOG = logging.getLogger(__name__)


def page_routes(pictures: Pictures, access: Access) -> list[BaseRoute]:
    """The routes, behind the rule of access; to be the application's last, because they take every path."""
    views.prepare()
    pages = _Pages(pictures, access)
    history = "/{vendor}/{stream}/{account:path}"
    routes = [
        Route("/", pages.front),
        Route("/queue", pages.queue),
        Route("/alerts", pages.alerts),
        Route(f"/streams{history}", pages.stream),
        Route("/login", pages.ask_token, methods=["GET"]),
        Route("/login", pages.take_token, methods=["POST"]),
        Route("/logout", pages.forget_token, methods=["POST"]),
        Route("/api/status", pages.answering(lambda _: pictures.status())),
        Route("/api/links", pages.answering(lambda _: pictures.links())),
        Route("/api/queue", pages.answering(lambda _: pictures.queues())),
        Route("/api/alerts", pages.answering(lambda _: pictures.alerts())),
        Route(f"/api/streams{history}/history", pages.answering(pages.history)),
        Route("/openapi.json", pages.openapi),
        Route("/metrics", pages.metrics),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return [Mount("/", Guard(Router(routes), access))]


class _Pages:
    """The endpoints of one process."""

    def __init__(self, pictures: Pictures, access: Access) -> None:
        self._pictures, self._access = pictures, access

    async def front(self, request: Request) -> Response:
        """The one screen: at once for whoever opens it, fresh for the script that follows."""
        return await self._page(request, lambda: self._pictures.front(is_fresh=FRESH in request.headers))

    async def queue(self, request: Request) -> Response:
        """Queues and dead letters."""
        return await self._page(request, lambda: views.queue(self._pictures.status(), self._pictures.queues()))

    async def alerts(self, request: Request) -> Response:
        """What people were told of."""
        return await self._page(request, lambda: views.alerts(self._pictures.status(), self._pictures.alerts()))

    async def stream(self, request: Request) -> Response:
        """One stream of one account."""

        def render() -> str:
            of = self._find(request)
            status = self._pictures.status()
            now = next((item for item in status.streams if (item.account, item.stream) == of.subject), None)
            if now is None:
                raise HTTPException(404, "it has just left the configuration")
            return views.stream(status, now, self._pictures.history(of, 90))

        return await self._page(request, render)

    def history(self, request: Request) -> BaseModel:
        """The answer of a stream's history."""
        return self._pictures.history(self._find(request), _days(request))

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return JSONResponse(openapi.document())

    async def metrics(self, _: Request) -> Response:
        """Prometheus' exposition."""
        try:
            text = await run_in_threadpool(lambda: exposition(self._pictures.status(), self._pictures.queues()))
        except (DatabaseUnavailable, psycopg.Error) as error:
            return _unavailable(error)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def ask_token(self, request: Request) -> Response:
        """The form."""
        if not self._access.has_token:
            return RedirectResponse("/", status_code=303)
        return HTMLResponse(views.login(local_path(request.query_params.get("next", "/")), is_wrong=False))

    async def take_token(self, request: Request) -> Response:
        """Somebody gives the token."""
        try:
            form = parse_qs((await _small_body(request)).decode(errors="replace"))
        except ClientDisconnect:
            return JSONResponse({"error": "the connection was closed"}, status_code=400)
        target = local_path(form.get("next", ["/"])[0])
        if not self._access.opens(form.get("token", [""])[0].strip()):
            return HTMLResponse(views.login(target, is_wrong=True), status_code=403)
        answer = RedirectResponse(target, status_code=303)
        is_secure = "https" in {request.url.scheme, request.headers.get("x-forwarded-proto")}
        answer.set_cookie(COOKIE, self._access.cookie, max_age=COOKIE_LASTS_S, httponly=True, samesite="strict", secure=is_secure)
        return answer

    async def forget_token(self, _: Request) -> Response:
        """Somebody leaves."""
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    def answering(self, read: Callable[[Request], BaseModel]) -> Callable[[Request], Any]:
        """An endpoint that answers what ``read`` returns, as JSON."""

        async def endpoint(request: Request) -> Response:
            try:
                answer = await run_in_threadpool(read, request)
            except HTTPException as error:
                return JSONResponse({"error": error.detail}, status_code=error.status_code)
            except (DatabaseUnavailable, ConfigError, psycopg.Error) as error:
                return _unavailable(error)
            return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})

        return endpoint

    async def _page(self, request: Request, render: Callable[[], str]) -> Response:
        try:
            html = await run_in_threadpool(render)
        except HTTPException as error:
            return HTMLResponse(views.trouble("There is no such stream", str(error.detail)), status_code=error.status_code)
        except (DatabaseUnavailable, ConfigError, psycopg.Error) as error:
            _LOG.warning("the page could not be read: %s", describe(error).text)
            return HTMLResponse(views.trouble("The database does not answer", "This page tries again by itself."), status_code=503)
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    def _find(self, request: Request) -> WatchedStream:
        names = request.path_params
        found = self._pictures.find(names["vendor"], names["stream"], names["account"])
        if found is None:
            raise HTTPException(404, "there is no such stream of such an account; /api/status lists them")
        return found


def _days(request: Request) -> int:
    text = request.query_params.get("days", "30")
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MOST_DAYS):
        raise HTTPException(400, f"days must be a whole number from 1 to {MOST_DAYS}")
    return int(text)


def _unavailable(error: Exception) -> Response:
    _LOG.warning("the status could not be read: %s", describe(error).text)
    return JSONResponse({"error": "the database does not answer"}, status_code=503, headers={"Retry-After": "5"})


async def _small_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LOGIN_LIMIT:
            return b""
    return body
