"""Sends dead letters once more, whatever they are: a stream's record, a vendor's work, a queue's task or a webhook's delivery."""

from __future__ import annotations

from sync_pipelines.core import dead_letters
from sync_pipelines.core.budget import Lane
from sync_pipelines.core.dead_letters import Letter
from sync_pipelines.core.dead_tasks import put_back
from sync_pipelines.core.errors import DatabaseUnavailable, DataError
from sync_pipelines.core.faults import describe
from sync_pipelines.core.intake import LETTER_SUBJECT
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.queue import QueueSpec, enqueue
from sync_pipelines.core.resend import resend as resend_record
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.registry import all_retries, all_streams, modules


def resend(opened: Runtime, letter: Letter, *, by: str, run_id: str, is_anew: bool = False) -> str | None:
    """Tries one letter again; on success it is resolved.

    Args:
        opened: Database and accounts.
        letter: Unresolved; its payload may have been edited.
        by: Who wants it.
        run_id: Noted on the rows that are written.
        is_anew: Read a stream's record anew from the vendor instead of storing the kept payload.

    Returns:
        Why it failed, or ``None``.

    Raises:
        DatabaseUnavailable: Our own database went away.
    """
    if letter.state == "resolved":
        return "it is resolved already"
    try:
        if letter.subject in all_streams():
            return _record(opened, letter, run_id, is_anew)
        if letter.subject in all_retries():
            return _work(opened, letter, by, run_id)
        if letter.subject.endswith(LETTER_SUBJECT):
            _delivery(opened, letter, by)
        else:
            with opened.database.transaction() as connection:
                put_back(connection, QueueSpec(name=letter.subject), letter, by=by)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - one letter's failure must not keep the others from being sent
        fault = describe(error)
        return f"{fault.cause}: {fault.text}"
    return None


def _record(opened: Runtime, letter: Letter, run_id: str, is_anew: bool) -> str | None:
    vendor, stream = all_streams()[letter.subject]
    account = opened.account(letter.account, Lane.RETRY)
    if not is_anew:
        return resend_record(stream, letter, database=opened.database, run_id=run_id, settings=account.settings, client=None)
    with vendor.connect(account) as client:
        return resend_record(stream, letter, database=opened.database, run_id=run_id, settings=account.settings, client=client)


def _work(opened: Runtime, letter: Letter, by: str, run_id: str) -> str | None:
    vendor, retry = all_retries()[letter.subject]
    account = opened.account(letter.account, Lane.RETRY)
    with vendor.connect(account) as client:
        reason = retry.again(account, client, run_id, letter)
    if reason is None:
        with opened.database.transaction() as connection:
            dead_letters.resolve(connection, [letter.id], by=by)
    return reason


def _delivery(opened: Runtime, letter: Letter, by: str) -> None:
    """Finds out once more which work a stored delivery means."""
    webhooks = [webhook for module in modules("webhooks") for webhook in module.WEBHOOKS if webhook.path == letter.request]
    if not webhooks:
        raise DataError(f"no vendor declares the webhook {letter.request} any more", account=letter.account)
    settings = opened.account(letter.account, Lane.RETRY).settings
    tasks = list(webhooks[0].to_tasks(letter.account, settings, decode_json(letter.payload)))
    with opened.database.transaction() as connection:
        for spec, task in tasks:
            enqueue(connection, spec, [task])
        dead_letters.resolve(connection, [letter.id], by=by)
