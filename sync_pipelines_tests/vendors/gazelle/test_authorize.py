"""Consent in a browser: the code is taken from an answer to our own question only."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest

from sync_pipelines.core.errors import AuthError
from sync_pipelines.vendors.gazelle.authorize import Application, authorize
from sync_pipelines_tests.sandboxes import RunningSandbox


@pytest.fixture
def application(sandbox: Callable[..., RunningSandbox]) -> Application:
    root = sandbox("gazelle", size="tiny").base_url
    return Application("gazelle/studio", root, f"{root}/developer/oauth/token", "sandbox-client", "sandbox-secret")


def person(answer: Callable[[str], None]) -> Callable[[str], None]:
    """Somebody who agrees, and then does ``answer`` with the address they are sent back to."""

    def agree(address: str) -> None:
        answer(httpx.get(address, follow_redirects=False).headers["location"])

    return lambda address: threading.Thread(target=agree, args=(address,), daemon=True).start()


def test_consent_grants_a_refresh_token(application: Application) -> None:
    granted = authorize(application, open_browser=person(lambda back: httpx.get(back) and None), port=0)
    assert granted.refresh_token
    assert granted.expires_in_s == 7200
    assert granted.refresh_token not in repr(granted)


def test_an_answer_to_somebody_elses_question_is_not_taken(application: Application) -> None:
    statuses: list[int] = []

    def forge_first(back: str) -> None:
        statuses.append(httpx.get(back.replace("state=", "state=forged")).status_code)
        statuses.append(httpx.get(back).status_code)

    assert authorize(application, open_browser=person(forge_first), port=0).refresh_token
    assert statuses[0] == 400


def test_a_refusal_is_told(application: Application) -> None:
    def refuse(back: str) -> None:
        state = httpx.URL(back).params["state"]
        httpx.get(httpx.URL(back).copy_with(params={"state": state, "error": "access_denied"}))

    with pytest.raises(AuthError, match="access_denied"):
        authorize(application, open_browser=person(refuse), port=0)


def test_nobody_at_the_browser_is_a_failure(application: Application) -> None:
    with pytest.raises(AuthError, match="nobody"):
        authorize(application, open_browser=lambda _: None, port=0, timeout_s=0.05)
