"""The way from an app key to an account's tokens: a person agrees in a browser, and the code is exchanged (facts 4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from sync_pipelines.core.oauth import TokenAnswer, ask_token_endpoint
from sync_pipelines.vendors.suppliers.aliexpress.signing import signed
from sync_pipelines.vendors.suppliers.aliexpress.tokens import parse

CONSENT_PATH = "/oauth/authorize"
CREATE_PATH = "/auth/token/create"


@dataclass(frozen=True)
class Application:
    """Our app at the vendor.

    Attributes:
        account: ``vendor/name``.
        base_url: Where the consent page and the token calls are.
        app_key: From the console.
        app_secret: The same.
    """

    account: str
    base_url: str
    app_key: str
    app_secret: str = field(repr=False)

    def consent_address(self, redirect_uri: str, state: str) -> str:
        """The page a person agrees on.

        Args:
            redirect_uri: The app's callback, as it is registered in the console.
            state: Comes back with the answer.
        """
        query = {
            "response_type": "code",
            "force_auth": "true",
            "client_id": self.app_key,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{self.base_url.rstrip('/')}{CONSENT_PATH}?{urlencode(query)}"

    def exchange(self, code: str, *, now_s: Callable[[], float] = time.time) -> TokenAnswer:
        """The tokens for a code, which lives three minutes and works once.

        Raises:
            AuthError: The code is used, too old or somebody else's.
        """
        parameters = {"app_key": self.app_key, "code": code, "timestamp": str(int(now_s() * 1000))}
        url = f"{self.base_url.rstrip('/')}/rest{CREATE_PATH}"
        request = httpx.Request("POST", url, data=signed(parameters, self.app_secret, path=CREATE_PATH))
        return ask_token_endpoint(request, account=self.account, parse=lambda answer: parse(answer, self.account))
