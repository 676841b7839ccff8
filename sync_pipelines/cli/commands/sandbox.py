"""``sandbox``: look-alikes of every vendor, to try things without an account."""

from __future__ import annotations

from typing import Annotated

import typer

from sync_pipelines.cli import output
from sync_pipelines.config import Environment
from sync_pipelines.core.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Look-alikes of every vendor.", no_args_is_help=True)
    group.callback()(_group)
    group.command("serve")(serve)
    app.add_typer(group, name="sandbox")


def _group() -> None:
    """Look-alikes of every vendor."""


def serve(
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1; default SYNC_PIPELINES_SANDBOX_PORT or 8790")] = None,
    vendor: Annotated[list[str] | None, typer.Option(help="Only these vendors; may be given several times")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same data")] = 1,
    size: Annotated[str, typer.Option(help="demo or full")] = "demo",
) -> None:
    """Serves the look-alikes until stopped, each below its name: http://127.0.0.1:8790/sendcloud."""
    from sync_pipelines.sandbox import server
    from sync_pipelines.supervision.ports import require_free

    if size not in {"demo", "full"}:
        raise ConfigError(f"--size is {size}; it must be demo or full")
    vendors = tuple(vendor) if vendor else server.available()
    unknown = sorted(set(vendors) - set(server.available()))
    if unknown:
        raise ConfigError(f"there is no sandbox for {', '.join(unknown)}; there are: {', '.join(server.available())}")
    number = port or Environment.read().sandbox_port
    require_free("127.0.0.1", number, "sandbox", "--port")
    output.note(f"sandbox of {', '.join(vendors)} on http://127.0.0.1:{number}/<vendor>; Ctrl-C stops it")
    server.serve(port=number, vendors=vendors, seed=seed, size=size)
