"""The ways to a person: a mail relay by SMTP, Slack by a bot's token or an incoming webhook.

A channel sends one message and returns, or raises `NotSent` with what went wrong, how to mend it and when to come again. Neither
passwords and tokens nor addresses are in what it raises.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.error import URLError

import httpx
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sync_pipelines.config.alerts import EmailSettings, SlackSettings
from sync_pipelines.core.errors import SyncError
from sync_pipelines.service.alerting.digest import Message, slack_blocks, slack_text
from sync_pipelines.service.alerting.people import WEBHOOK
from sync_pipelines.service.alerting.words import clean, cut

TIMEOUT_S = 20
"""Of every step of a conversation with a relay or with Slack."""

TOO_MANY = 429

_SLACK_HELP = {
    "invalid_auth": "set a valid bot token in alerts.slack.token",
    "not_authed": "set a valid bot token in alerts.slack.token",
    "account_inactive": "the bot or its workspace was deactivated; install the app again and set its token",
    "token_revoked": "install the app again and set its new token in alerts.slack.token",
    "token_expired": "install the app again and set its new token in alerts.slack.token",
    "missing_scope": "give the app the scope chat:write and install it again",
    "channel_not_found": "use the channel's id (C…), and invite the bot to private channels",
    "not_in_channel": "invite the bot to the channel (/invite), or give it the scope chat:write.public",
    "is_archived": "the channel is archived; name another one",
    "no_service": "the incoming webhook was removed; make a new one and set alerts.slack.webhook_url",
    "invalid_token": "the incoming webhook's address is wrong; copy it again to alerts.slack.webhook_url",
    "no_team": "the incoming webhook's address is wrong; copy it again to alerts.slack.webhook_url",
}


class NotSent(SyncError):
    """A message was not taken.

    Args:
        message: What happened and how to mend it.
        retry_after_s: When the other side wants to be asked again, if it said so.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """One way to a person."""

    def send(self, address: str, message: Message) -> None:
        """Sends.

        Raises:
            NotSent: It was not taken.
        """


@dataclass(frozen=True)
class Email:
    """A mail relay."""

    settings: EmailSettings
    password: str | None = field(default=None, repr=False)
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def send(self, address: str, message: Message) -> None:
        """See `Channel.send`."""
        settings = self.settings
        if settings.security == "none" and self.password and not _is_here(settings.host):
            raise NotSent(f"the password would cross the network in clear text to {settings.host}; use security: starttls or tls")
        try:
            with self._connect() as relay:
                if settings.security == "starttls":
                    relay.starttls(context=self.tls())
                if settings.username:
                    relay.login(settings.username, self.password or "")
                relay.send_message(_letter(settings.sender, address, message))
        except ssl.SSLError as error:
            raise NotSent(
                f"the relay {self._place} has no certificate we trust ({error.reason or type(error).__name__}): check host, port"
                " and security; for a certificate of your own name its CA file in SSL_CERT_FILE"
            ) from error
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent(
                f"the relay {self._place} refuses user and password ({error.smtp_code}); check alerts.email.username and password"
            ) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(str(code) for code, _ in error.recipients.values())
            raise NotSent(f"the relay {self._place} refuses the recipient ({codes}); check the person's address") from error
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
            raise NotSent(self._clean(f"the relay {self._place} answers {error.smtp_code} {cut(said, 200)}")) from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotSent(f"the relay {self._place} offers no STARTTLS or no login here; check port and security") from error
        except (smtplib.SMTPException, OSError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NotSent(f"the relay {self._place} can not be reached ({reason}); check host, port and security") from error

    @property
    def _place(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def _connect(self) -> smtplib.SMTP:
        if self.settings.security == "tls":
            return smtplib.SMTP_SSL(self.settings.host, self.settings.port, timeout=TIMEOUT_S, context=self.tls())
        return smtplib.SMTP(self.settings.host, self.settings.port, timeout=TIMEOUT_S)

    def _clean(self, text: str) -> str:
        return clean(text, self.password or "")


def _letter(sender: str, address: str, message: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = sender
    letter["To"] = address
    letter["Subject"] = message.subject
    letter["Date"] = format_datetime(message.at)
    letter["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text)
    return letter


def _is_here(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Slack:
    """A workspace."""

    settings: SlackSettings
    token: str | None = field(default=None, repr=False)
    webhook_url: str | None = field(default=None, repr=False)

    def send(self, address: str, message: Message) -> None:
        """See `Channel.send`."""
        if address == WEBHOOK:
            self._by_webhook(message)
        else:
            self._by_token(address, message)

    def _by_token(self, address: str, message: Message) -> None:
        client = WebClient(self.token, base_url=self.settings.base_url, timeout=TIMEOUT_S, retry_handlers=[])
        try:
            client.chat_postMessage(
                channel=address, text=slack_text(message), blocks=slack_blocks(message), unfurl_links=False, unfurl_media=False
            )
        except SlackApiError as error:
            response: Any = error.response
            if response.status_code == TOO_MANY:
                raise _too_many(response.headers) from error
            raise _refused(str(response.get("error") or f"HTTP {response.status_code}")) from error
        except (URLError, OSError, ValueError) as error:
            raise NotSent(f"Slack can not be reached ({type(error).__name__})") from error

    def _by_webhook(self, message: Message) -> None:
        if not self.webhook_url:
            raise NotSent("alerts.slack.webhook_url is not set")
        body = {"text": slack_text(message), "blocks": slack_blocks(message)}
        try:
            answer = httpx.post(self.webhook_url, json=body, timeout=TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotSent(f"Slack can not be reached ({type(error).__name__}); check alerts.slack.webhook_url") from error
        if answer.status_code == TOO_MANY:
            raise _too_many(answer.headers)
        if answer.status_code != httpx.codes.OK or answer.text.strip() not in {"ok", ""}:
            said = answer.text.strip()
            raise _refused(said if said in _SLACK_HELP else f"HTTP {answer.status_code}")


def _too_many(headers: Any) -> NotSent:
    text = str(headers.get("Retry-After") or headers.get("retry-after") or "")
    seconds = float(text) if text.isdecimal() else 30.0
    return NotSent("Slack asks for patience (429); the message is sent again", retry_after_s=max(1.0, seconds))


def _refused(error: str) -> NotSent:
    return NotSent(f"Slack refuses the message ({cut(clean(error), 100)}): {_SLACK_HELP.get(error, 'see docs/alert.md')}")
