"""Commits of many requests together."""

from __future__ import annotations

import asyncio

from sync_pipelines.service.group_commit import GroupCommit


def test_one_that_cannot_be_told_keeps_no_other_from_being_committed() -> None:
    told: list[int | Exception] = []

    def broken(_: int | Exception) -> None:
        raise RuntimeError("the connection has gone")

    async def commit_three() -> None:
        commits: GroupCommit[int, int] = GroupCommit(list)
        async with commits.running():
            commits.submit(1, broken)
            commits.submit(2, told.append)
            await asyncio.sleep(0.1)
            commits.submit(3, told.append)

    asyncio.run(commit_three())
    assert told == [2, 3]
