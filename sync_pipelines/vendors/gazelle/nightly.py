"""When an account's night begins: pure reckoning with local days, for the sensor in `defs`."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NIGHT = time(2, 0)

_WEEK = 7


def due_night(now: datetime, zone: ZoneInfo, last: date | None) -> date | None:
    """The latest local day whose 02:00 has passed, unless it has been run.

    Where clocks skip 02:00 the night begins at the same instant as if they had not (03:00); where 02:00 comes twice, at the first.

    Args:
        now: Aware.
        zone: Of the business.
        last: The local day run last; ``None`` before the first run, which is due at once.
    """
    today = now.astimezone(zone).date()
    night = today if now >= datetime.combine(today, NIGHT, zone) else today - timedelta(days=1)
    return night if last is None or last < night else None


def next_night(now: datetime, zone: ZoneInfo) -> datetime:
    """When the next night begins, aware; see `due_night`."""
    today = now.astimezone(zone).date()
    tonight = datetime.combine(today, NIGHT, zone)
    return tonight if now < tonight else datetime.combine(today + timedelta(days=1), NIGHT, zone)


def is_thorough(day: date, last: date | None) -> bool:
    """Whether this night reads everything: Sundays, and the first night after a missed Sunday; never the very first sync."""
    if last is None:
        return False
    return any(
        ordinal % _WEEK == 0 for ordinal in range(last.toordinal() + 1, day.toordinal() + 1)
    )  # day 7 of the calendar was a Sunday
