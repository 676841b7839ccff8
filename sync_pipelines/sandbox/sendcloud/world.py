"""What the look-alike knows: accounts with their keys, orders, parcels and shipments; generated until changed, then kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from sync_pipelines.sandbox.common.clock import Clock
from sync_pipelines.sandbox.common.quota import AllOf, Quota, SlidingWindow
from sync_pipelines.sandbox.sendcloud.catalogue import NO_LABEL, SENDERS
from sync_pipelines.sandbox.sendcloud.chance import made_uuid, server_time
from sync_pipelines.sandbox.sendcloud.facets import NEVER, address_of, entry, meta_of, total_of
from sync_pipelines.sandbox.sendcloud.generate import DAY, Generator, Meta, Parcel, Shipping
from sync_pipelines.sandbox.sendcloud.paging import Entry, Index
from sync_pipelines.sandbox.sendcloud.profiles import PROFILES, Profile, Settings

CACHED_ORDERS = 20_000


class Account:
    """One SendCloud account. Order ids are SendCloud's integers; every order has a `Shipping` with at least one parcel."""

    def __init__(self, profile: Profile, generator: Generator, clock: Clock, settings: Settings) -> None:
        self.profile, self.generator, self.clock, self.settings = profile, generator, clock, settings
        self.broken: dict[int, str] = {}
        self.method_epoch = 0
        self.webhooks: dict[int, str | None] = {}
        self.throttled = 0
        self._orders: dict[int, dict[str, Any]] = {}
        self._metas: dict[int, Meta] = {}
        self._refs: dict[tuple[int, str], int] = {}
        self._gone: set[int] = set()
        self._cache: dict[int, dict[str, Any]] = {}
        self._indices: dict[str, Index] = {}
        self._next_order = generator.first_order_id + generator.count
        self._shippings: dict[int, Shipping] = {}
        self._lost_shippings: set[int] = set()
        self._by_uuid: dict[str, int] | None = None
        self._next_serial = generator.count
        self._new_parcels: dict[int, int] = {}
        self._next_parcel = generator.first_parcel_id + 4 * generator.count
        self._parcel_index: Index | None = None
        self._shipment_index: Index | None = None
        self._by_reference: dict[str, int] = {}
        self._pending: list[tuple[float, object, Callable[[], None]]] = []
        self.set_quotas()

    def set_quotas(self) -> None:
        """Opens fresh quotas by the settings. All keys of the account share them."""
        settings, clock = self.settings, self.clock
        self.reads: Quota = SlidingWindow(clock, limit=settings.reads_per_minute, seconds=60)
        self.writes: Quota = AllOf(
            SlidingWindow(clock, limit=settings.writes_per_second, seconds=1),
            SlidingWindow(clock, limit=settings.writes_per_minute, seconds=60),
        )

    @property
    def now(self) -> int:
        """The sandbox clock in epoch microseconds."""
        return int(self.clock.now() * 1_000_000)

    # -- what happens later ---------------------------------------------------------------------------------------------

    def later(self, seconds: float, token: object, action: Callable[[], None]) -> None:
        """Does ``action`` once the clock has moved by ``seconds``; ``token`` names it for `is_pending`."""
        self._pending.append((self.clock.now() + seconds, token, action))

    def is_pending(self, token: object) -> bool:
        """Whether something under this name waits."""
        return any(waiting == token for _, waiting, _ in self._pending)

    def settle(self) -> None:
        """Does everything that is due."""
        now = self.clock.now()
        due = [entry for entry in self._pending if entry[0] <= now]
        self._pending = [entry for entry in self._pending if entry[0] > now]
        for _, _, action in due:
            action()

    # -- orders ---------------------------------------------------------------------------------------------------------

    def order(self, key: int) -> dict[str, Any] | None:
        """The order as V3 shows it, or ``None``. Do not change it in place."""
        if key in self._orders:
            return self._orders[key]
        i = key - self.generator.first_order_id
        if key in self._gone or not 0 <= i < self.generator.count:
            return None
        cached = self._cache.get(key)
        if cached is None:
            if len(self._cache) >= CACHED_ORDERS:
                self._cache.clear()
            cached = self._cache[key] = self.generator.order(i)
        return cached

    def meta(self, key: int) -> Meta:
        """What lists know of an existing order."""
        return self._metas.get(key) or self.generator.meta(key - self.generator.first_order_id)

    def orders_numbered(self, number: str) -> list[int]:
        """Ids of the orders with this number, oldest first; numbers are not unique across integrations."""
        place = number.removeprefix("SO-")
        near = int(place) - 10_000 + self.generator.first_order_id if place.isascii() and place.isdigit() else -1
        candidates = {near, near + 1, *(key for key, meta in self._metas.items() if meta.order_number == number)}
        return sorted(key for key in candidates if self.order(key) is not None and self.meta(key).order_number == number)

    def order_keys(self) -> Iterator[int]:
        """Ids of all orders, oldest first."""
        generated = self.generator.first_order_id + self.generator.count
        for key in range(self.generator.first_order_id, self._next_order):
            if key in self._orders or (key < generated and key not in self._gone):
                yield key

    def find_order(self, integration: int, order_id: str) -> int | None:
        """SendCloud's id of a shop's order."""
        known = self._refs.get((integration, order_id))
        if known is not None:
            return known
        _, _, serial = order_id.partition("-")
        i = int(serial) - 1_000_000 if serial.isascii() and serial.isdigit() else -1
        if not 0 <= i < self.generator.count:
            return None
        key = self.generator.first_order_id + i
        is_it = key not in self._gone and self.meta(key).integration == integration and self.meta(key).order_id == order_id
        return key if is_it else None

    @property
    def last_order_key(self) -> int:
        """The highest order id given so far."""
        return self._next_order - 1

    def new_order_key(self) -> int:
        """The next of SendCloud's ids."""
        self._next_order += 1
        return self._next_order - 1

    def put_order(self, key: int, order: dict[str, Any], *, modified: int | None = None) -> None:
        """Stores a created or changed order; ``modified`` defaults to now."""
        moment = self.now if modified is None else modified
        before = self.meta(key) if self.order(key) is not None else None
        order = {**order, "id": str(key), "modified_at": server_time(moment)}
        order.setdefault("created_at", server_time(moment))
        self._orders[key] = order
        self._metas[key] = after = meta_of(order, moment)
        self._refs[(after.integration, after.order_id)] = key
        for name, index in self._indices.items():
            if before is not None:
                index.remove(*entry(name, before, key))
            index.add(*entry(name, after, key))
        if before is None:
            self._open_parcel(key, order)
        else:
            self._follow_order(key, order)

    def delete_order(self, key: int) -> None:
        """Removes an order; a parcel without label goes with it, labelled ones stay."""
        before = self.meta(key)
        for name, index in self._indices.items():
            index.remove(*entry(name, before, key))
        shipping = self.shipping_of(key)
        self._orders.pop(key, None)
        self._metas.pop(key, None)
        self._cache.pop(key, None)
        self._refs.pop((before.integration, before.order_id), None)
        self._gone.add(key)
        if shipping is not None:
            if shipping.has_label:
                shipping.order = None
                self._shippings[shipping.serial] = shipping
            else:
                self.drop_shipping(shipping)

    def order_index(self, name: str) -> Index:
        """Orders in one of the `SORTABLE` orders."""
        if name not in self._indices:
            self._indices[name] = Index([self._quick_entry(name, key) for key in self.order_keys()])
        return self._indices[name]

    def _quick_entry(self, name: str, key: int) -> Entry:
        """Like `_entry`, without making what the sort does not need."""
        if name == "pk":
            return key, key
        if key in self._metas or name not in {"order_created_at", "order_updated_at"}:
            return entry(name, self.meta(key), key)
        created, updated, _ = self.generator.times(key - self.generator.first_order_id)
        if name == "order_created_at":
            return created, key
        return NEVER if updated is None else updated, key

    # -- parcels and shipments ------------------------------------------------------------------------------------------

    def shipping(self, serial: int) -> Shipping | None:
        """A shipment by its serial number."""
        if serial in self._shippings:
            return self._shippings[serial]
        key = self.generator.first_order_id + serial
        if serial in self._lost_shippings or not 0 <= serial < self.generator.count:
            return None
        order = self.generator.order(serial) if key in self._orders or key in self._gone else self.order(key)
        if order is None:
            return None
        shipping = self.generator.shipping(serial, order)
        if self.generator.count <= CACHED_ORDERS:
            self._shippings[serial] = shipping
        return shipping

    def shipping_of(self, key: int) -> Shipping | None:
        """The shipment that belongs to an order."""
        i = key - self.generator.first_order_id
        if 0 <= i < self.generator.count:
            return self.shipping(i)
        return next((one for one in self._shippings.values() if one.order == key), None)

    def shipping_by_uuid(self, uuid: str) -> Shipping | None:
        """A shipment by its public id."""
        if self._by_uuid is None:
            seed, number = self.generator.seed, self.profile.number
            self._by_uuid = {made_uuid(seed, number, i): i for i in range(self.generator.count)}
            self._by_uuid |= {one.id: serial for serial, one in self._shippings.items()}
        serial = self._by_uuid.get(uuid)
        return None if serial is None else self.shipping(serial)

    def shipping_by_reference(self, reference: str) -> Shipping | None:
        """A shipment by our ``external_reference_id``."""
        serial = self._by_reference.get(reference)
        return None if serial is None else self.shipping(serial)

    def parcel_owner(self, parcel_id: int) -> Shipping | None:
        """The shipment a parcel belongs to."""
        serial = self._new_parcels.get(parcel_id)
        if serial is None:
            serial = (parcel_id - self.generator.first_parcel_id) // 4
            if not 0 <= serial < self.generator.count:
                return None
        shipping = self.shipping(serial)
        return shipping if shipping and any(parcel.id == parcel_id for parcel in shipping.parcels) else None

    def new_serial(self) -> int:
        """The next shipment's serial number."""
        self._next_serial += 1
        return self._next_serial - 1

    def new_parcel_id(self) -> int:
        """The next parcel's id."""
        self._next_parcel += 1
        return self._next_parcel - 1

    def keep_shipping(self, shipping: Shipping, *, removed_parcels: tuple[int, ...] = ()) -> None:
        """Stores a new or changed shipment."""
        self._shippings[shipping.serial] = shipping
        for parcel in shipping.parcels:
            self._new_parcels[parcel.id] = shipping.serial
        if self._by_uuid is not None:
            self._by_uuid[shipping.id] = shipping.serial
        if shipping.external_reference_id:
            self._by_reference[shipping.external_reference_id] = shipping.serial
        if self._parcel_index is not None:
            for key in (*removed_parcels, *(parcel.id for parcel in shipping.parcels)):
                self._parcel_index.remove(key, key)
            for parcel in shipping.parcels:
                self._parcel_index.add(parcel.id, parcel.id)
        if self._shipment_index is not None:
            self._shipment_index.remove(shipping.serial, shipping.serial)
            if shipping.has_label:
                self._shipment_index.add(shipping.serial, shipping.serial)

    def drop_shipping(self, shipping: Shipping) -> None:
        """Makes a shipment and its parcels vanish."""
        self.keep_shipping(shipping)
        self._shippings.pop(shipping.serial, None)
        self._lost_shippings.add(shipping.serial)
        for parcel in shipping.parcels:
            self._new_parcels.pop(parcel.id, None)
            if self._parcel_index is not None:
                self._parcel_index.remove(parcel.id, parcel.id)
        if self._shipment_index is not None:
            self._shipment_index.remove(shipping.serial, shipping.serial)

    def shippings(self) -> Iterator[Shipping]:
        """All shipments, labelled or not, oldest first."""
        for serial in range(self._next_serial):
            shipping = self.shipping(serial)
            if shipping is not None:
                yield shipping

    def parcel_index(self) -> Index:
        """Parcels by id."""
        if self._parcel_index is None:
            first, entries = self.generator.first_parcel_id, []
            for serial in range(self._next_serial):
                known = self._shippings.get(serial)
                if known is not None:
                    entries += [(parcel.id, parcel.id) for parcel in known.parcels]
                elif serial < self.generator.count and serial not in self._lost_shippings:
                    entries += [
                        (key, key) for key in range(first + 4 * serial, first + 4 * serial + self.generator.parcel_count(serial))
                    ]
            self._parcel_index = Index(list(entries))
        return self._parcel_index

    def shipment_index(self) -> Index:
        """Shipments V3 lists, by serial number."""
        if self._shipment_index is None:
            self._shipment_index = Index([(one.serial, one.serial) for one in self.shippings() if one.has_label])
        return self._shipment_index

    def _open_parcel(self, key: int, order: dict[str, Any]) -> None:
        meta, now = self.meta(key), self.now
        serial = self.new_serial()
        parcel = Parcel(self.new_parcel_id(), now, now, 1000, order["order_details"]["order_items"], history=[(now, NO_LABEL)])
        self.keep_shipping(
            Shipping(
                id=made_uuid(self.generator.seed, self.profile.number, serial),
                serial=serial,
                order=key,
                order_name=meta.order_number,
                order_ref=meta.order_id,
                integration=meta.integration,
                parcels=[parcel],
                to_address=address_of(order),
                from_address={name: value for name, value in SENDERS[0].items() if name != "id"},
                total=total_of(order),
            )
        )

    def _follow_order(self, key: int, order: dict[str, Any]) -> None:
        """The parcel that waits for its label shows what the order says now."""
        shipping = self.shipping_of(key)
        if shipping is None or shipping.has_label:
            return
        parcel = shipping.parcels[0]
        lines, address, total = order["order_details"]["order_items"], address_of(order), total_of(order)
        if (parcel.lines, shipping.to_address, shipping.total) != (lines, address, total):
            parcel.lines, shipping.to_address, shipping.total, parcel.updated = lines, address, total, self.now
            self.keep_shipping(shipping)


class World:
    """All accounts, made of one seed. ``orders`` belong to account ``main``; ``second`` has a sixth of them."""

    def __init__(self, *, seed: int, clock: Clock, orders: int, products: int, history_days: int) -> None:
        self.seed, self.clock, self.settings = seed, clock, Settings()
        self._sizes = {"orders": orders, "products": products, "history_days": history_days}
        self.rebuild(orders=orders, products=products, history_days=history_days)

    def reset(self) -> None:
        """Starts over as at first, settings included; only the clock stays where it is."""
        for setting in fields(Settings):
            setattr(self.settings, setting.name, getattr(Settings(), setting.name))
        self.rebuild(**self._sizes)

    def rebuild(self, *, orders: int, products: int, history_days: int, shipped_percent: int = 71) -> None:
        """Starts over with other sizes. History ends at the last UTC midnight, so that one day's worlds are alike."""
        end = int(self.clock.now()) // 86_400 * DAY
        self.accounts = {
            profile.name: Account(
                profile,
                Generator(
                    seed=self.seed,
                    account=profile.number,
                    count=orders if profile.number == 0 else max(orders // 6, 1),
                    products=products,
                    start=end - history_days * DAY,
                    end=end,
                    integrations=tuple(integration.id for integration in profile.integrations),
                    shipped_percent=shipped_percent,
                ),
                self.clock,
                self.settings,
            )
            for profile in PROFILES
        }
        self.keys = {key.public: (self.accounts[profile.name], key) for profile in PROFILES for key in profile.keys}
