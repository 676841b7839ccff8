"""Our errors as Dagster understands them, for the ops of this vendor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from dagster import Failure, OpExecutionContext, RetryRequested

from sync_pipelines.core.errors import AuthError, ConfigError, ContractError, DataError, StreamBusy, Throttled, TransientError
from sync_pipelines.orchestration import tags


@contextmanager
def told(context: OpExecutionContext) -> Iterator[None]:
    """Runs an op's work; where a person waits at a command, nothing is tried again by itself.

    Raises:
        RetryRequested: The quota is used up, or the vendor is unwell.
        Failure: Nothing but a person will help.
    """
    try:
        yield
    except (Throttled, TransientError, StreamBusy) as error:
        context.log.warning("%s", error)
        if tags.PROCESS in context.run.tags:
            raise Failure(str(error), allow_retries=False) from error
        if isinstance(error, Throttled):
            wait = max(1, round((error.retry_at - datetime.now(UTC)).total_seconds()))
            raise RetryRequested(max_retries=20, seconds_to_wait=wait) from error
        raise RetryRequested(max_retries=3, seconds_to_wait=20) from error
    except (AuthError, ConfigError, ContractError, DataError) as error:
        raise Failure(str(error), allow_retries=False) from error
