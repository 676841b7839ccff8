"""The sandbox's own routes for tests: truth, changes, broken records, page faults, outages. See `app` for the list."""

from __future__ import annotations

import asyncio
import random
from dataclasses import fields
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sync_pipelines.sandbox.sendcloud import mutate
from sync_pipelines.sandbox.sendcloud.access import Gate, answer
from sync_pipelines.sandbox.sendcloud.listing import BREAKAGES, Lists, PageFault
from sync_pipelines.sandbox.sendcloud.outage import Outage
from sync_pipelines.sandbox.sendcloud.parcels import v2_parcel
from sync_pipelines.sandbox.sendcloud.profiles import Settings
from sync_pipelines.sandbox.sendcloud.rendering import v3_shipment
from sync_pipelines.sandbox.sendcloud.webhooks import Campaign, send
from sync_pipelines.sandbox.sendcloud.world import Account, World


class Control:
    """Handlers of ``/_control/…``. Every one takes ``account`` (default ``main``) from the query or the body."""

    def __init__(self, world: World, gate: Gate, lists: Lists, outage: Outage) -> None:
        self._world, self._gate, self._lists, self._outage = world, gate, lists, outage
        self._churn: dict[str, Any] | None = None
        self._pages = 0
        self._campaign: asyncio.Task[dict[str, Any]] | None = None
        lists.after_page = self._after_page

    def routes(self) -> list[BaseRoute]:
        """What `look_alike` mounts."""
        return [
            Route("/_control/truth", self.truth),
            Route("/_control/mutate", self.mutate, methods=["POST"]),
            Route("/_control/churn", self.churn, methods=["POST", "DELETE"]),
            Route("/_control/orders", self.orders, methods=["POST"]),
            Route("/_control/parcels", self.parcels, methods=["POST"]),
            Route("/_control/break", self.break_record, methods=["POST", "DELETE"]),
            Route("/_control/pages", self.pages, methods=["POST", "DELETE"]),
            Route("/_control/v3", self.v3, methods=["POST"]),
            Route("/_control/settings", self.settings, methods=["GET", "POST"]),
            Route("/_control/reset", self.reset, methods=["POST"]),
            Route("/_control/world", self.world, methods=["POST"]),
            Route("/_control/methods", self.methods, methods=["POST"]),
            Route("/_control/webhooks/send", self.webhooks, methods=["POST"]),
            Route("/_control/webhooks/report", self.webhooks_report),
            Route("/_control/tokens", self.tokens, methods=["DELETE", "POST"]),
        ]

    async def truth(self, request: Request) -> Response:
        """What a perfect client would have stored."""
        account = self._account(request.query_params.get("account"))
        streams = request.query_params.get("streams", "orders").split(",")
        base = _api_url(request)
        views: dict[str, Any] = {
            "orders": lambda: {str(key): account.order(key) for key in account.order_keys()},
            "parcels": lambda: {
                str(parcel.id): v2_parcel(account, shipping, parcel, base=base, full=True)
                for shipping in account.shippings()
                for parcel in shipping.parcels
            },
            "shipments": lambda: {one.id: v3_shipment(one, base=base) for one in account.shippings() if one.has_label},
        }
        unknown = [stream for stream in streams if stream not in views]
        if unknown:
            return answer({"unknown": unknown, "known": list(views)}, 400)
        return answer({stream: views[stream]() for stream in streams})

    async def mutate(self, request: Request) -> Response:
        """Random changes."""
        body = await _body(request)
        account = self._account(body.get("account"))
        done = mutate.mutate(
            account, operations=body.get("operations", 1), seed=body.get("seed", 0), kinds=tuple(body.get("kinds", ()))
        )
        return answer({"done": done})

    async def churn(self, request: Request) -> Response:
        """Changes between the pages of whoever is paging."""
        self._churn, self._pages = (None if request.method == "DELETE" else await _body(request)), 0
        return Response(status_code=204)

    async def orders(self, request: Request) -> Response:
        """One named change of one order: ``{"kind", "order"}``, or ``{"put": order}`` as it is."""
        body = await _body(request)
        account = self._account(body.get("account"))
        chance = random.Random(body.get("seed", 0))
        if "put" in body:
            key = int(body["put"].get("id") or account.new_order_key())
            account.put_order(key, body["put"])
        elif body["kind"] == "create":
            key = mutate.create(account, chance)
        else:
            key = int(body["order"])
            mutate.ACTIONS[body["kind"]](account, key, chance)
        return answer({"order": key})

    async def parcels(self, request: Request) -> Response:
        """Sets a parcel's status id: ``{"parcel", "status"}``."""
        body = await _body(request)
        account = self._account(body.get("account"))
        shipping = account.parcel_owner(int(body["parcel"]))
        if shipping is None:
            return answer({"error": "no such parcel"}, 404)
        parcel = next(one for one in shipping.parcels if one.id == int(body["parcel"]))
        mutate.set_status(account, shipping, parcel, int(body["status"]))
        return answer({"parcel": parcel.id, "history": parcel.history})

    async def break_record(self, request: Request) -> Response:
        """Shows a record malformed until ``DELETE``."""
        if request.method == "DELETE":
            for account in self._world.accounts.values():
                account.broken.clear()
            return Response(status_code=204)
        body = await _body(request)
        account = self._account(body.get("account"))
        if body["kind"] not in BREAKAGES:
            return answer({"unknown": body["kind"], "known": list(BREAKAGES)}, 400)
        key = body.get("order") or body.get("parcel") or random.Random(body.get("seed", 0)).choice(list(account.order_keys()))
        account.broken[int(key)] = body["kind"]
        return answer({"broken": {str(key): kind for key, kind in account.broken.items()}})

    async def pages(self, request: Request) -> Response:
        """Plans `PageFault`s, or forgets them."""
        if request.method == "DELETE":
            self._lists.faults.clear()
        else:
            body = await _body(request)
            self._lists.faults += [PageFault(**fault) for fault in (body if isinstance(body, list) else [body])]
        return Response(status_code=204)

    async def v3(self, request: Request) -> Response:
        """Switches V3 off and on."""
        body = await _body(request)
        self._outage.configure(
            down=body["down"], kind=body.get("kind", "status"), status=body.get("status", 503), path=body.get("path")
        )
        return Response(status_code=204)

    async def settings(self, request: Request) -> Response:
        """Reads or changes `Settings`; changing a quota opens fresh windows."""
        if request.method == "POST":
            body = await _body(request)
            known = {field.name for field in fields(Settings)}
            if not body.keys() <= known:
                return answer({"unknown": sorted(body.keys() - known), "known": sorted(known)}, 400)
            for name, value in body.items():
                setattr(self._world.settings, name, value)
            if any(name.endswith(("_minute", "_second")) for name in body):
                for account in self._world.accounts.values():
                    account.set_quotas()
        return answer({field.name: getattr(self._world.settings, field.name) for field in fields(Settings)})

    async def world(self, request: Request) -> Response:
        """Starts over with other sizes."""
        body = await _body(request)
        known = {"orders": 150, "products": 60, "history_days": 40, "shipped_percent": 71}
        self._world.rebuild(**{name: int(body.get(name, usual)) for name, usual in known.items()})
        return answer({name: account.generator.count for name, account in self._world.accounts.items()})

    async def methods(self, request: Request) -> Response:
        """Gives every V2 shipping method another id."""
        account = self._account((await _body(request)).get("account"))
        account.method_epoch += 1
        return answer({"epoch": account.method_epoch})

    async def webhooks(self, request: Request) -> Response:
        """Runs a `Campaign`; answers when it is over, or at once with ``"wait": false``."""
        body = await _body(request)
        account, is_awaited = self._account(body.pop("account", None)), body.pop("wait", True)
        self._campaign = asyncio.create_task(send(account, Campaign(**body), base=_api_url(request)))
        return answer(await self._campaign if is_awaited else {"done": False})

    async def webhooks_report(self, _: Request) -> Response:
        """How the last `Campaign` went: ``{"done": true, …}`` once it is over."""
        if self._campaign is None or not self._campaign.done():
            return answer({"done": False})
        return answer({"done": True, **self._campaign.result()})

    async def reset(self, _: Request) -> Response:
        """Everything as at first, apart from the clock, the log and planned faults."""
        self._world.reset()
        self._lists.faults.clear()
        self._outage.configure(down=False)
        self._churn = None
        return Response(status_code=204)

    async def tokens(self, _: Request) -> Response:
        """Revokes every OAuth token."""
        self._gate.revoke_tokens()
        return Response(status_code=204)

    def _account(self, name: str | None) -> Account:
        account = self._world.accounts[name or "main"]
        account.settle()
        return account

    def _after_page(self, account: Account, stream: str) -> None:
        churn = self._churn
        if not churn or stream != churn.get("stream", "orders") or churn.get("times", 1 << 30) <= 0:
            return
        self._pages += 1
        if self._pages % churn.get("every", 1) == 0:
            churn["times"] = churn.get("times", 1 << 30) - 1
            mutate.mutate(
                account,
                operations=churn.get("operations", 1),
                seed=churn.get("seed", 0) + self._pages,
                kinds=tuple(churn.get("kinds", ())),
            )


def _api_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.url.path.partition('/_control')[0]}/api"


async def _body(request: Request) -> Any:
    return msgspec.json.decode(await request.body() or b"{}")
