"""Every vendor of the product, found by the packages in ``vendors/``: adding one needs no line here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from sync_pipelines import vendors as _vendors
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.vendor import LetterRetry, Vendor


def modules(name: str) -> Iterator[Any]:
    """The module of this name of each vendor package that has one: ``vendor``, ``defs``, ``tables``, ``webhooks``."""
    for package in sorted(iter_modules(_vendors.__path__), key=lambda found: found.name):
        if package.ispkg and (found := module(package.name, name)) is not None:
            yield found


def module(vendor: str, name: str) -> Any:
    """The module of this name of one vendor's package; ``None`` if it has none."""
    full = f"{_vendors.__name__}.{vendor}.{name}"
    return import_module(full) if find_spec(full) is not None else None


@cache
def all_vendors() -> tuple[Vendor, ...]:
    """The vendors, by name."""
    return tuple(module.VENDOR for module in modules("vendor"))


def all_streams() -> dict[str, tuple[Vendor, Stream[Any]]]:
    """Every stream with its vendor, by key."""
    return {stream.key: (vendor, stream) for vendor in all_vendors() for stream in vendor.streams}


def all_retries() -> dict[str, tuple[Vendor, LetterRetry]]:
    """How letters that are no stream's are tried again, by subject, with the vendor."""
    return {retry.subject: (vendor, retry) for vendor in all_vendors() for retry in vendor.retries}


def find_stream(key: str) -> tuple[Vendor, Stream[Any]]:
    """The stream called ``vendor/table``. Imports its own vendor alone: importing all of them takes a second.

    Raises:
        ConfigError: There is none; the message names those there are.
    """
    package = key.split("/", 1)[0]
    if any(found.name == package for found in iter_modules(_vendors.__path__)) and (found := module(package, "vendor")):
        vendor: Vendor = found.VENDOR
        for stream in vendor.streams:
            if stream.key == key:
                return vendor, stream
    raise ConfigError(f"there is no stream {key}; there are: {', '.join(sorted(all_streams()))}")


def vendor_of_account(account: str) -> Vendor:
    """The vendor that an account's id belongs to.

    Raises:
        ConfigError: None does.
    """
    name = account.split("/", 1)[0]
    for vendor in all_vendors():
        if name in vendor.account_vendors:
            return vendor
    raise ConfigError(f"account {account}: no vendor {name} is installed", account=account)
