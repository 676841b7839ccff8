"""Walking a list whose cursors are offsets, while it moves."""

from __future__ import annotations

from collections.abc import Callable

from sync_pipelines.vendors.gazelle.client import Edge, ListPage
from sync_pipelines.vendors.gazelle.paging import Position, Walk


class Shelf:
    """A list in pages of three; ``meanwhile`` happens after the page of its number."""

    def __init__(self, ids: str, meanwhile: dict[int, Callable[[list[str]], None]]) -> None:
        self.ids, self._meanwhile, self.asked = list(ids), meanwhile, 0

    def fetch(self, after: str | None, overlap: int) -> ListPage:
        start = int(after) + 1 if after is not None else 0
        end = start + 3 + overlap
        edges = tuple(Edge(str(start + n), name, (name.encode(),)) for n, name in enumerate(self.ids[start:end]))
        page = ListPage(edges, total=len(self.ids), has_more=end < len(self.ids), end=edges[-1].cursor if edges else None)
        self.asked += 1
        self._meanwhile.get(self.asked, lambda _: None)(self.ids)
        return page

    def walked(self) -> list[str]:
        return [edge.id for step in Walk(self.fetch).steps(Position()) for edge in step.edges]


def test_a_list_that_stands_still_is_read_once() -> None:
    shelf = Shelf("abcdefghij", {})
    assert shelf.walked() == list("abcdefghij")
    assert shelf.asked == 4


def test_a_total_that_moves_has_the_tail_read_again_and_what_comes_twice_dropped() -> None:
    shelf = Shelf("abcdefghij", {2: lambda ids: ids.insert(4, "X")})
    assert sorted(shelf.walked()) == sorted("abcdefghijX")
    assert shelf.asked > 4


def test_a_deletion_behind_us_hides_nothing() -> None:
    shelf = Shelf("abcdefghij", {2: lambda ids: ids.remove("a")})
    assert sorted(shelf.walked()) == sorted("abcdefghij")


def test_one_deleted_and_one_added_is_seen_although_the_total_stands_still() -> None:
    def swap(ids: list[str]) -> None:
        ids.remove("b")
        ids.append("Z")

    shelf = Shelf("abcdefghij", {2: swap})
    assert sorted(shelf.walked()) == sorted("abcdefghijZ")
