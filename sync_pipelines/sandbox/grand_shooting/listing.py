"""``GET /reference`` as the vendor has it: filters in the query string, offset in a header, pages of 100, a cap at 10,000."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import Any

from sync_pipelines.sandbox.grand_shooting.world import READ_ONLY, WRITABLE, Account, Reference, Refused

PAGE = 100
OFFSET_CAP = 10_000
FILTERS = WRITABLE | READ_ONLY
NOT_FILTERS = {"sort_by", "account_id", "target_account_id", "offset", "limit"}

Test = Callable[[Any], bool]


def list_page(account: Account, query: list[tuple[str, str]], offset: int) -> tuple[list[Reference], int]:
    """One page and the total.

    Args:
        account: Whose catalogue.
        query: Decoded pairs; a repeated key means "or", comparisons on one field and different fields mean "and".
        offset: The ``offset`` request header; a query parameter of that name is ignored, as the vendor does.

    Raises:
        Refused: 400 for a bad filter or an offset above the cap.
    """
    if offset < 0 or offset > OFFSET_CAP:
        raise Refused(400, f"offset must be between 0 and {OFFSET_CAP}")
    if (run := _keyset_run(account, query)) is not None:
        return [account.by_id[number] for number in run[offset : offset + PAGE]], len(run)
    exact: dict[str, set[str]] = {}
    tests: dict[str, list[Test]] = {}
    for name, value in query:
        if name in NOT_FILTERS:
            continue
        if name not in FILTERS:
            raise Refused(400, f'"{name}" is not allowed')
        operator, _, operand = value.partition(":")
        if operator in {"gt", "gte", "lt", "lte"}:
            tests.setdefault(name, []).append(_comparison(name, operator, operand))
        elif operator == "in" and operand:
            exact.setdefault(name, set()).update(operand.split(","))
        elif "*" in value:
            pattern = re.compile(translate(value.replace("[", "[[]")))
            tests.setdefault(name, []).append(lambda found, pattern=pattern: pattern.match(str(found)) is not None)  # type: ignore[misc]
        else:
            exact.setdefault(name, set()).add(value)
    found = [
        reference
        for reference in _candidates(account, exact, query)
        if all(_text(name, reference.get(name)) in wanted for name, wanted in exact.items())
        and all(name in reference and test(reference[name]) for name, all_tests in tests.items() for test in all_tests)
    ]
    sort_by = dict(query).get("sort_by", "-date_mod").strip()
    descending, field = sort_by.startswith("-"), sort_by.lstrip("+-")
    if field not in FILTERS:
        raise Refused(400, f"cannot sort by {field}")
    if field != "reference_id" or descending:
        found.sort(key=lambda reference: (str(reference.get(field, "")), reference["reference_id"]), reverse=descending)
    return found[offset : offset + PAGE], len(found)


def _keyset_run(account: Account, query: list[tuple[str, str]]) -> list[int] | None:
    """The ids of ``sort_by=reference_id`` with at most ``reference_id=gt:n``: the paging of large catalogues, without a scan."""
    bounds = [value for name, value in query if name == "reference_id"]
    if dict(query).get("sort_by") != "reference_id" or len(query) != 1 + len(bounds) or len(bounds) > 1:
        return None
    if not bounds:
        return account.ids
    return (
        account.ids[bisect_right(account.ids, int(bounds[0][3:])) :] if bounds[0][:3] == "gt:" and bounds[0][3:].isdigit() else None
    )


def _candidates(account: Account, exact: dict[str, set[str]], query: list[tuple[str, str]]) -> Iterable[Reference]:
    """The fewest rows that can match, by ascending id: by key where one is given, else above the largest ``gt:`` bound."""
    if "reference_id" in exact:
        wanted = sorted(int(text) for text in exact["reference_id"] if text.isdigit())
        return [account.by_id[number] for number in wanted if number in account.by_id]
    if "ref" in exact:
        hits = [account.by_ref[ref] for ref in exact["ref"] if ref in account.by_ref]
        return sorted(hits, key=lambda reference: reference["reference_id"])
    bounds = [int(value[3:]) for name, value in query if name == "reference_id" and value.startswith("gt:") and value[3:].isdigit()]
    start = bisect_right(account.ids, max(bounds)) if bounds else 0
    return (account.by_id[number] for number in account.ids[start:])


def _comparison(name: str, operator: str, operand: str) -> Test:
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
    }
    against = compare[operator]
    if name in {"reference_id", "category_id", "shotlist_id"}:
        if not operand.isdigit():
            raise Refused(400, f'"{name}" must be a number')
        return lambda found: against(found, int(operand))
    if name in {"date_cre", "date_mod"}:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", operand):
            raise Refused(400, f'"{name}" must be a date')
        return lambda found: against(found[:10], operand[:10])
    return lambda found: against(str(found), operand)


def _text(name: str, value: Any) -> str:
    text = "" if value is None else str(value)
    return text[:10] if name in {"date_cre", "date_mod"} else text
