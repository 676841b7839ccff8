"""Runs a vendor's look-alike in a thread of the test process and talks to its control API."""

from __future__ import annotations

import random
import socket
import threading
from dataclasses import asdict
from importlib import import_module
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount


class Control:
    """The ``/_control`` routes of one look-alike.

    Args:
        root: ``http://127.0.0.1:<port>/<vendor>``.
    """

    def __init__(self, root: str) -> None:
        self._client = httpx.Client(base_url=f"{root}/_control/", timeout=300)

    def log(self) -> list[dict[str, Any]]:
        """Every request so far: ``at, method, path, query, status, throttled, fault, account``."""
        answer: list[dict[str, Any]] = self.get("log")
        return answer

    def clear_log(self) -> None:
        """Forgets the requests so far."""
        self._client.delete("log").raise_for_status()

    def faults(self, *planned: Any) -> None:
        """Plans faults: dictionaries or `sync_pipelines.sandbox.common.control.Fault` objects."""
        body = [_as_json(fault) for fault in planned]
        self._client.post("faults", json=body).raise_for_status()

    def clear_faults(self) -> None:
        """Removes all planned faults."""
        self._client.delete("faults").raise_for_status()

    def clock(self, *, advance: float) -> float:
        """Moves the look-alike's clock; returns its new time in epoch seconds."""
        return float(self.post("clock", advance=advance)["now"])

    def truth(self, **params: Any) -> Any:
        """What a perfect client would have stored."""
        return self.get("truth", **params)

    def mutate(self, operations: int = 10, *, seed: int = 1, **options: Any) -> Any:
        """Random realistic changes."""
        return self.post("mutate", operations=operations, seed=seed, **options)

    def get(self, route: str, **params: Any) -> Any:
        """Any other control route."""
        return self._client.get(route, params=params).raise_for_status().json()

    def post(self, route: str, **body: Any) -> Any:
        """Any other control route; the answer's JSON, ``None`` without a body."""
        answer = self._client.post(route, json=body).raise_for_status()
        return answer.json() if answer.content else None

    def delete(self, route: str) -> None:
        """Clears what a control route keeps."""
        self._client.delete(route).raise_for_status()

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


class RunningSandbox:
    """One look-alike that answers on ``base_url`` until stopped."""

    def __init__(self, vendor: str, app: Starlette) -> None:
        self._socket = _free_socket()
        self.port: int = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/{vendor}"
        config = uvicorn.Config(
            Starlette(routes=[Mount(f"/{vendor}", app=app)]), log_level="critical", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        self.control = Control(self.base_url)
        self.control.get("health")

    def stop(self) -> None:
        """Stops answering and frees the port."""
        self.control.close()
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


def run_sandbox(vendor: str, *, seed: int = 1, size: str = "demo", **options: object) -> RunningSandbox:
    """Starts the look-alike ``sync_pipelines.sandbox.<vendor>.app``; ``options`` go to its ``create_app``."""
    module = import_module(f"sync_pipelines.sandbox.{vendor}.app")
    return RunningSandbox(vendor, module.create_app(seed=seed, size=size, **options))


def _free_socket() -> socket.socket:
    """A listening socket below 32768, so that no outgoing connection takes its port; connections wait until it is served."""
    for port in random.sample(range(20000, 32768), 100):
        candidate = socket.socket()
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
            candidate.listen(1024)
        except OSError:
            candidate.close()
            continue
        return candidate
    raise RuntimeError("no free port found between 20000 and 32767")


def free_port() -> int:
    """A port below 32768 that is free now, for a process that binds it itself."""
    with _free_socket() as candidate:
        port: int = candidate.getsockname()[1]
    return port


def _as_json(fault: Any) -> Any:
    if isinstance(fault, dict):
        return fault
    return {name: value for name, value in asdict(fault).items() if not name.startswith("_")}
