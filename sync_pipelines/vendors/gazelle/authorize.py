"""The OAuth authorization code flow for one person at one browser, with the vendor's answer caught on this machine.

The callback address must be listed at the vendor's developer console (apis/gazelle/facts.md §2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from sync_pipelines.core.consent import DEFAULT_PORT, Callback
from sync_pipelines.core.oauth import TokenAnswer, ask_token_endpoint, parse_rfc6749
from sync_pipelines.vendors.gazelle.settings import AUTHORIZE_PATH


@dataclass(frozen=True)
class Application:
    """Our registration at the vendor.

    Attributes:
        account: ``vendor/name``.
        base_url: Where the consent page is.
        token_url: Where the code is exchanged.
        client_id: From the developer console.
        client_secret: The same.
    """

    account: str
    base_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


def authorize(
    application: Application,
    *,
    open_browser: Callable[[str], object],
    port: int = DEFAULT_PORT,
    timeout_s: float = 300,
) -> TokenAnswer:
    """Lets a person agree in the browser and exchanges the code that comes back.

    Args:
        application: Who asks.
        open_browser: Shows an address to the person.
        port: Of the callback on 127.0.0.1.
        timeout_s: How long to wait for the person.

    Raises:
        AuthError: Nobody agreed in time, the vendor refused, or the answer does not belong to our question.
    """
    with Callback(application.account, port) as callback:
        query = {
            "client_id": application.client_id,
            "response_type": "code",
            "redirect_uri": callback.address,
            "state": callback.state,
        }
        open_browser(f"{application.base_url.rstrip('/')}{AUTHORIZE_PATH}?{urlencode(query)}")
        return _exchange(application, callback.wait(timeout_s), callback.address)


def _exchange(application: Application, code: str, redirect_uri: str) -> TokenAnswer:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": application.client_id,
        "client_secret": application.client_secret,
    }
    request = httpx.Request("POST", application.token_url, data=form)
    return ask_token_endpoint(request, account=application.account, parse=parse_rfc6749)
