"""Dagster's GraphQL, for what the UI shows in awkward places: outcomes, metadata, check results."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
RELOAD = """
mutation { reloadRepositoryLocation(repositoryLocationName: "sync_pipelines") {
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename } }
} }
"""
RUNS = """
query ($tags: [ExecutionTag!]) {
  runsOrError(filter: {tags: $tags}, limit: 50) { ... on Runs { results { runId status endTime tags { key value } } } }
}
"""
BACKFILLS = "{ partitionBackfillsOrError(limit: 5) { ... on PartitionBackfills { results { id status numPartitions } } } }"
ASSET = """
query ($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) { ... on Asset { assetMaterializations(limit: 200) {
    runId partition metadataEntries { label ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } }
  } } }
  assetNodeOrError(assetKey: $key) { ... on AssetNode { assetChecksOrError { ... on AssetChecks { checks {
    name
  } } } } }
}
"""
CHECK = """
query ($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 20) { evaluation { success } }
}
"""
LAUNCH = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on LaunchBackfillSuccess { backfillId } }
}
"""
LAUNCH_RUN = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
BETWEEN_LOOKS_S = 0.5


class DagsterApi:
    """Asks the web server at ``url``."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer's data."""
        answer = self._client.post("/graphql", json={"query": query, "variables": variables}).raise_for_status().json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def wait_until_loaded(self, seconds: float, *, is_alive: Callable[[], bool]) -> None:
        """Until the code location is there."""

        def is_loaded() -> bool:
            assert is_alive(), "up has ended; see artifacts/up.log"
            try:
                entries = self.ask(LOADED)["workspaceOrError"]["locationEntries"]
            except httpx.TransportError:
                return False
            return bool(entries) and entries[0]["locationOrLoadError"]["__typename"] == "RepositoryLocation"

        self.until(is_loaded, "the code location is loaded", seconds)

    def is_reloaded(self) -> bool:
        """Reloads the code location as the UI's button does; whether it answers."""
        entry = self.ask(RELOAD)["reloadRepositoryLocation"]
        return bool(entry["locationOrLoadError"]["__typename"] == "RepositoryLocation")

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Runs that carry all these tags (``__`` stands for a slash), newest first."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        found: list[dict[str, Any]] = self.ask(RUNS, tags=wanted)["runsOrError"]["results"]
        return found

    def ended_runs(self, count: int, seconds: float = 240, **tags: str) -> list[dict[str, Any]]:
        """Waits until that many runs with these tags have ended."""
        self.until(lambda: len(self._ended(**tags)) >= count, f"{count} runs with {tags} have ended", seconds)
        return self._ended(**tags)

    def backfills(self) -> list[dict[str, Any]]:
        """The newest backfills."""
        found: list[dict[str, Any]] = self.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
        return found

    def launch(self, path: list[str], partitions: list[str]) -> str:
        """Launches an asset's partitions without the dialog; returns the backfill's id."""
        params = {"assetSelection": [{"path": path}], "partitionNames": partitions, "fromFailure": False, "tags": []}
        answer = self.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def launch_run(self, job: str, partition: str, **tags: str) -> None:
        """Launches a job for a partition ``account|day``, with these tags; sooner than a backfill, which waits for its daemon."""
        account, _, day = partition.partition("|")
        of_partition = {"dagster/partition": partition, "dagster/partition/account": account, "dagster/partition/day": day}
        selector = {"repositoryLocationName": "sync_pipelines", "repositoryName": "__repository__", "pipelineName": job}
        metadata = {"tags": [{"key": key, "value": value} for key, value in (of_partition | tags).items()]}
        answer = self.ask(LAUNCH_RUN, params={"selector": selector, "mode": "default", "executionMetadata": metadata})
        assert answer["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", answer

    def asset(self, *path: str) -> tuple[list[dict[str, Any]], dict[str, bool]]:
        """Materializations with their numeric metadata, newest first, and the latest result of each check."""
        key = {"path": list(path)}
        data = self.ask(ASSET, key=key)
        results = {}
        for check in data["assetNodeOrError"]["assetChecksOrError"].get("checks", []):
            # Of runs side by side the last one to start need not be the last one to materialize; what is evaluated counts.
            executions = self.ask(CHECK, key=key, name=check["name"])["assetCheckExecutions"]
            evaluated = [one["evaluation"] for one in executions if one["evaluation"]]
            if evaluated:
                results[check["name"]] = evaluated[0]["success"]
        return data["assetOrError"]["assetMaterializations"], results

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Looks again and again until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            time.sleep(BETWEEN_LOOKS_S)

    def _ended(self, **tags: str) -> list[dict[str, Any]]:
        return [run for run in self.runs(**tags) if run["status"] in ENDED]
