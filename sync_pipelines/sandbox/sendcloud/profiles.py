"""The look-alike's accounts with their keys and shops, and how it behaves."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Settings:
    """How the look-alike behaves where the documentation is silent or tests want it otherwise. Seconds are by the sandbox clock."""

    order_saving_s: float = 0.3
    announce_s: float = 0.3
    reads_per_minute: int = 1000
    writes_per_minute: int = 100
    writes_per_second: int = 15
    throttle_body: str = "mixed"
    """``none``, ``json`` or ``mixed`` (in turn)."""
    retry_after: int | None = None
    oauth_only: bool = False
    closed_status: int = 403
    """Answer of the closed ``POST /v2/parcels``; not documented."""
    label_in_list: bool = False
    """Whether ``create-label-sync`` answers as its example (a list with ``label``) instead of its schema."""
    hidden_options: list[str] = field(default_factory=list)
    """Shipping options that are no longer offered."""
    failing_carriers: list[str] = field(default_factory=list)
    """Carriers whose announcements end as 201 (or ANNOUNCEMENT_FAILED later) with an error."""


@dataclass(frozen=True)
class Key:
    """A key pair of one integration; the signature key signs webhooks of some integration types."""

    public: str
    secret: str
    integration: int
    webhook_signature: str


@dataclass(frozen=True)
class Integration:
    """A shop connected to the account."""

    id: int
    shop_name: str
    system: str


@dataclass(frozen=True)
class Profile:
    """An account as it stands in the documentation of the sandbox."""

    name: str
    number: int
    user_id: int
    keys: tuple[Key, ...]
    integrations: tuple[Integration, ...]


PROFILES = (
    Profile(
        "main",
        0,
        501,
        (
            Key("sandbox-public", "sandbox-secret", 7001, "sandbox-webhook-key"),
            Key("sandbox-public-2", "sandbox-secret-2", 7002, "sandbox-webhook-key-2"),
        ),
        (
            Integration(7001, "Example Shop", "api"),
            Integration(7002, "Example Store", "shopify_v2"),
            Integration(7003, "Example Boutique", "woocommerce_v2"),
        ),
    ),
    Profile(
        "second",
        1,
        502,
        (Key("sandbox-second-public", "sandbox-second-secret", 7101, "sandbox-second-webhook-key"),),
        (Integration(7101, "Example Outlet", "api"),),
    ),
)
