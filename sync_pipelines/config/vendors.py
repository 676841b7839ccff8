"""What each vendor says about its accounts: settings model, credentials, default addresses.

A vendor says it in ``vendors/<vendor>/settings.py`` (suppliers: ``vendors/suppliers/<vendor>/settings.py``):

``Settings``               pydantic model of ``settings:``
``CREDENTIALS``            names of its credentials, or several such tuples of which one must be given
``OPTIONAL_CREDENTIALS``   names that may be given besides
``DEFAULT_BASE_URL``       or a property ``Settings.default_base_url``; without one ``base_url`` must be given
``AUTH_URL``               default token address, if tokens come from elsewhere
``Link``                   pydantic model of ``links:``, if accounts can be linked: ``id``, ``main``, ``secondary``, ``problems()``
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel

from sync_pipelines import vendors

SUPPLIERS = "suppliers"


@dataclass(frozen=True)
class VendorShape:
    """One vendor's part of the configuration."""

    name: str
    settings: type[BaseModel]
    credential_sets: tuple[tuple[str, ...], ...]
    optional_credentials: tuple[str, ...]
    base_url: str | None
    auth_url: str | None
    link: type[BaseModel] | None = None

    def default_base_url(self, settings: BaseModel) -> str | None:
        """Where this vendor answers unless told otherwise."""
        found = getattr(settings, "default_base_url", self.base_url)
        return None if found is None else str(found)


@cache
def known_vendors() -> tuple[str, ...]:
    """The vendors that accounts can be configured for."""
    folder = Path(vendors.__file__).parent
    own = [path.parent.name for path in folder.glob("*/settings.py") if path.parent.name != SUPPLIERS]
    suppliers = [path.parent.name for path in folder.glob(f"{SUPPLIERS}/*/settings.py")]
    return tuple(sorted(own + suppliers))


@cache
def vendor_shape(name: str) -> VendorShape:
    """The vendor called ``name``, which is one of `known_vendors`."""
    folder = Path(vendors.__file__).parent
    package = name if (folder / name / "settings.py").exists() else f"{SUPPLIERS}.{name}"
    module = import_module(f"sync_pipelines.vendors.{package}.settings")
    credentials = module.CREDENTIALS
    return VendorShape(
        name=name,
        settings=module.Settings,
        credential_sets=credentials if credentials and isinstance(credentials[0], tuple) else (tuple(credentials),),
        optional_credentials=tuple(getattr(module, "OPTIONAL_CREDENTIALS", ())),
        base_url=getattr(module, "DEFAULT_BASE_URL", None),
        auth_url=getattr(module, "AUTH_URL", None),
        link=getattr(module, "Link", None),
    )


def linkable_vendors() -> list[VendorShape]:
    """The vendors whose accounts can be linked."""
    return [shape for name in known_vendors() if (shape := vendor_shape(name)).link is not None]
