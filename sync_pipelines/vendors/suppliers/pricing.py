"""Selling prices from costs; the same rule as the SQL function ``suppliers.selling_price``, for previews, scores and tests."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from sync_pipelines.vendors.suppliers.settings import PriceRule

CENT = Decimal("0.01")


def rule_for(rules: Sequence[PriceRule], cost: Decimal) -> PriceRule | None:
    """The first rule whose band holds the cost."""
    return next((rule for rule in rules if rule.from_cost <= cost and (rule.to_cost is None or cost < rule.to_cost)), None)


def selling_price(cost: Decimal, rule: PriceRule) -> Decimal:
    """The price one unit is offered for; see `PriceRule`.

    >>> selling_price(Decimal("10.00"), PriceRule(margin_percent=50, vat_percent=20, ending=Decimal("0.99")))
    Decimal('18.99')
    >>> selling_price(Decimal("10.00"), PriceRule(margin_percent=5, min_margin=3, vat="out", ending=None))
    Decimal('13.00')
    """
    net = max(cost * (1 + rule.margin_percent / 100) + rule.fixed, cost + rule.min_margin)
    price = net * (1 + rule.vat_percent / 100) if rule.vat == "in" else net
    price = price.quantize(Decimal("0.000001"), ROUND_HALF_UP)
    if rule.ending is None:
        return price.quantize(CENT, ROUND_CEILING)
    return ((price - rule.ending).to_integral_value(ROUND_CEILING) + rule.ending).quantize(CENT)
