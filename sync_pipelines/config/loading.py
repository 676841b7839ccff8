"""From the text of ``accounts.yaml`` to a valid `Config`, or to one message that names every problem."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from sync_pipelines.config.alerts import AlertSettings
from sync_pipelines.config.document import Path, parse_document
from sync_pipelines.config.environment import Environment
from sync_pipelines.config.models import Account, Config
from sync_pipelines.config.problems import Problems, unknown
from sync_pipelines.config.references import expand, reference_fields, unset
from sync_pipelines.config.vendors import VendorShape, known_vendors, linkable_vendors, vendor_shape
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.references import SECRET_PREFIX, Reference
from sync_pipelines.core.retention import Retention

_ID = re.compile(r"^([a-z][a-z0-9_]*)/([A-Za-z0-9][A-Za-z0-9._-]{0,62})$")
_TOP = ("accounts", "links", "alerts", "retention")
_ACCOUNT = ("id", "base_url", "auth_url", "credentials", "settings")


def load_config(path: FilePath | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Reads and validates the configuration file.

    Args:
        path: Default: ``SYNC_PIPELINES_CONFIG``, else ``accounts.yaml`` here.
        environ: Instead of the process's own.

    Raises:
        ConfigError: It is missing or wrong; one line per problem with file, line, account, field and fix.
    """
    environ = os.environ if environ is None else environ
    path = path or Environment.read(environ).config_path
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist. Begin with a copy: cp accounts.example.yaml accounts.yaml, "
            "or name your file: export SYNC_PIPELINES_CONFIG=/path/to/accounts.yaml"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can not be read: {error}") from error
    return parse_config(text, source=path.name, environ=environ)


def parse_config(text: str, *, source: str = "accounts.yaml", environ: Mapping[str, str] | None = None) -> Config:
    """Validates the text of a configuration.

    Args:
        text: YAML.
        source: Its name in messages.
        environ: Where ``${NAME}`` is looked up.

    Raises:
        ConfigError: As in `load_config`.
    """
    environ = os.environ if environ is None else environ
    document = parse_document(text, source)
    problems = Problems(document)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{source}:1: must begin with `accounts:`")
    for key in data:
        if key not in _TOP:
            problems.add((), "", unknown(key, _TOP), below=(key,))
    accounts = _accounts(data.get("accounts"), problems, environ)
    links = _links(data.get("links"), accounts, problems, environ)
    alerts = _expanded(data.get("alerts") or {}, ("alerts",), "alerts", problems, environ, later=reference_fields(AlertSettings))
    settings = problems.validated(AlertSettings, alerts, ("alerts",), "alerts")
    given = _expanded(data.get("retention") or {}, ("retention",), "retention", problems, environ)
    retention = problems.validated(Retention, given, ("retention",), "retention")
    problems.raise_if_any()
    return Config(tuple(accounts), tuple(links), settings or AlertSettings(), retention or Retention(), source)


def _accounts(items: Any, problems: Problems, environ: Mapping[str, str]) -> list[Account]:
    found: dict[str, Account] = {}
    first_line: dict[str, int] = {}
    for path, item in _listed(items, "accounts", problems):
        account_id = item.get("id")
        if not isinstance(account_id, str):
            problems.add(path, f"account number {int(path[-1]) + 1}", "needs an id; add `id: vendor/name`", below=("id",))
            continue
        who = f"account {account_id}"
        if account_id in first_line:
            problems.add(path, who, f"this id stands on line {first_line[account_id]} already; ids are unique", below=("id",))
            continue
        shape = _shape_of(account_id, path, who, problems)
        if shape is None:
            continue
        first_line[account_id] = problems.document.line((*path, "id"))
        account = _account(account_id, item, shape, path, who, problems, environ)
        if account is not None:
            found[account.id] = account
    return list(found.values())


def _shape_of(account_id: str, path: Path, who: str, problems: Problems) -> VendorShape | None:
    match = _ID.match(account_id)
    if match is None:
        problems.add(path, who, f"{account_id!r} is no id; write it as vendor/name, like sendcloud/main", below=("id",))
        return None
    if match[1] not in known_vendors():
        message = unknown(match[1], known_vendors()).replace("unknown key", "unknown vendor")
        problems.add(path, who, message, below=("id",))
        return None
    return vendor_shape(match[1])


def _account(
    account_id: str, item: dict[str, Any], shape: VendorShape, path: Path, who: str, problems: Problems, environ: Mapping[str, str]
) -> Account | None:
    before = len(problems.found)
    item = _expanded(item, path, who, problems, environ, later=reference_fields(shape.settings) | {"credentials"})
    is_complete = len(problems.found) == before
    for key in item:
        if key not in _ACCOUNT:
            problems.add(path, who, unknown(key, _ACCOUNT), below=(key,))
    credentials = _credentials(item.get("credentials"), shape, path, who, problems)
    if not is_complete:
        return None
    base_url, auth_url = item.get("base_url"), item.get("auth_url") or shape.auth_url
    base_url = base_url and _url(base_url, "base_url", path, who, problems)
    auth_url = auth_url and _url(auth_url, "auth_url", path, who, problems)
    settings = problems.validated(shape.settings, item.get("settings") or {}, path, who, below=("settings",))
    if settings is not None and not item.get("base_url"):
        base_url = _url(shape.default_base_url(settings), "base_url", path, who, problems)
    if settings is None or base_url is None or len(problems.found) > before:
        return None
    return Account(account_id, base_url, auth_url, credentials, settings, problems.place(path))


def _credentials(given: Any, shape: VendorShape, path: Path, who: str, problems: Problems) -> dict[str, Reference]:
    if given is not None and not isinstance(given, dict):
        problems.add(path, who, 'must be a mapping, like {api_key: "${API_KEY}"}', below=("credentials",))
        return {}
    given = given or {}
    known = {name for names in shape.credential_sets for name in names} | set(shape.optional_credentials)
    references: dict[str, Reference] = {}
    for name, value in given.items():
        if name not in known:
            problems.add(path, who, unknown(name, known), below=("credentials", name))
            continue
        wrapped = problems.validated(_Credential, {name: value}, path, who, below=("credentials",))
        if wrapped is not None:
            references[name] = Reference(str(value))
    if not any(set(names) <= set(given) for names in shape.credential_sets):
        nearest = max(shape.credential_sets, key=lambda names: len(set(names) & set(given)))
        missing = [name for name in nearest if name not in given]
        example = ", ".join(f'{name}: "${{{shape.name.upper()}_{name.upper()}}}"' for name in missing)
        others = " (or ".join(", ".join(names) for names in shape.credential_sets)
        others += ")" * (len(shape.credential_sets) - 1)
        problems.add(path, who, f"{', '.join(missing)} missing; {shape.name} needs {others}. Add {example}", below=("credentials",))
    return references


class _Credential(BaseModel):
    """Any name with a `Reference`."""

    __pydantic_extra__: dict[str, Reference]
    model_config = {"extra": "allow"}


def _links(items: Any, accounts: list[Account], problems: Problems, environ: Mapping[str, str]) -> list[Any]:
    if items is None:
        return []
    links: dict[str, Any] = {}
    for path, item in _listed(items, "links", problems):
        name = item.get("id")
        who = f"link {name}" if isinstance(name, str) else f"link number {int(path[-1]) + 1}"
        if name in links:
            problems.add(path, who, "this id stands twice; ids are unique", below=("id",))
            continue
        shape = _linked_vendor(item, path, who, problems)
        if shape is None or shape.link is None:
            continue
        link: Any = problems.validated(shape.link, _expanded(item, path, who, problems, environ), path, who)
        if link is None:
            continue
        ids = [account.id for account in accounts if account.vendor == shape.name]
        for side in ("main", "secondary"):
            if getattr(link, side) not in ids:
                known = ", ".join(ids) or "none"
                message = f"there is no valid account {getattr(link, side)}; {shape.name} accounts are: {known}"
                problems.add(path, who, message, below=(side,))
        for text in link.problems():
            problems.add(path, who, text)
        links[link.id] = link
    return list(links.values())


def _linked_vendor(item: dict[str, Any], path: Path, who: str, problems: Problems) -> VendorShape | None:
    """The vendor between whose accounts a link copies, by its main account's id."""
    linkable = {shape.name: shape for shape in linkable_vendors()}
    main = item.get("main")
    if not isinstance(main, str):
        return next(iter(linkable.values()), None)  # whose model says what is missing
    found = linkable.get(main.partition("/")[0])
    if found is None:
        names = " or ".join(f"{name}/…" for name in linkable)
        problems.add(path, who, f"{main} can not be linked; main accounts are {names}", below=("main",))
    return found


def _listed(items: Any, key: str, problems: Problems) -> list[tuple[Path, dict[str, Any]]]:
    """The mappings of a top-level list."""
    if items is None:
        return []
    if not isinstance(items, list):
        problems.add((), "", "must be a list; begin every entry with `- id: …`", below=(key,))
        return []
    found: list[tuple[Path, dict[str, Any]]] = []
    for index, item in enumerate(items):
        if isinstance(item, dict):
            found.append(((key, index), item))
        else:
            problems.add((), "", "must be a mapping that begins with `id: …`", below=(key, index))
    return found


def _expanded(
    value: Any,
    path: Path,
    who: str,
    problems: Problems,
    environ: Mapping[str, str],
    *,
    later: frozenset[str] = frozenset(),
    below: Path = (),
) -> Any:
    """The value with every ``${NAME}`` replaced, except below the keys of ``later``: a missing one stops what uses it, not all."""
    if isinstance(value, dict):
        return {
            key: item if key in later else _expanded(item, path, who, problems, environ, later=later, below=(*below, key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _expanded(item, path, who, problems, environ, later=later, below=(*below, index)) for index, item in enumerate(value)
        ]
    if not isinstance(value, str):
        return value
    if value.startswith(SECRET_PREFIX):
        problems.add(path, who, f'{SECRET_PREFIX} is looked up for credentials and keys only; write "${{NAME}}" here', below=below)
        return value
    text, missing = expand(value, environ)
    if missing:
        problems.add(path, who, unset(missing), below=below)
    return text


def _url(value: Any, key: str, path: Path, who: str, problems: Problems) -> str | None:
    """The URL without a slash at its end; ``None`` after noting what is wrong with it."""
    if value is None:
        problems.add(path, who, "is missing; add `base_url: https://…`", below=(key,))
        return None
    try:
        parts = urlsplit(str(value))
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url:
        problems.add(path, who, f"{value!r} is no address; write it like https://host/path", below=(key,))
        return None
    if parts.username or parts.password or parts.query or parts.fragment:
        problems.add(path, who, "must have no user, password, ? or #; credentials have their own place", below=(key,))
        return None
    return str(value).rstrip("/")
