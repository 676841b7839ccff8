"""What the view ``suppliers.offers`` needs of the configuration, in tables: SQL alone says what may be sold and for how much."""

from __future__ import annotations

from sync_pipelines.core.db import Database
from sync_pipelines.vendors.suppliers.settings import SupplierSettings


def publish_settings(database: Database, account: str, settings: SupplierSettings) -> None:
    """Brings an account's offer settings and price rules up to date."""
    values = (
        account,
        int(settings.max_age.total_seconds()),
        settings.safety_stock,
        settings.max_handling_days,
        getattr(settings, "currency", None),
    )
    rules = [
        (account, n, rule.from_cost, rule.to_cost, rule.margin_percent, rule.fixed, rule.min_margin, rule.vat == "in",
         rule.vat_percent, rule.ending)
        for n, rule in enumerate(settings.price_rules)
    ]  # fmt: skip
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO suppliers.offer_settings AS o (account, max_age_s, safety_stock, max_handling_days, currency)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (account) DO UPDATE SET max_age_s = excluded.max_age_s,"
            " safety_stock = excluded.safety_stock, max_handling_days = excluded.max_handling_days, currency = excluded.currency"
            " WHERE (o.max_age_s, o.safety_stock, o.max_handling_days, o.currency)"
            " IS DISTINCT FROM (excluded.max_age_s, excluded.safety_stock, excluded.max_handling_days, excluded.currency)",
            values,
        )
        connection.execute("DELETE FROM suppliers.offer_rules WHERE account = %s", [account])
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO suppliers.offer_rules VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", rules)
