"""The configuration file: what it may say, and how clearly it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_pipelines.config import Config, load_config, parse_config
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.references import Reference
from sync_pipelines.core.retention import LEAST_RUNS_DAYS
from sync_pipelines.orchestration.history import RECOUNTED_DAYS

GOOD = """\
accounts:
  - id: sendcloud/main
    base_url: http://127.0.0.1:8790/sendcloud/api/
    credentials: {public_key: "${PUBLIC}", secret_key: "secret:sendcloud"}
    settings:
      webhook_keys: ["${WEBHOOK}"]
      start: 2026-01-01
      reads_per_minute: 500
"""


def problems(text: str, **environ: str) -> list[str]:
    """One line per problem."""
    with pytest.raises(ConfigError) as raised:
        parse_config(text, environ=environ)
    return str(raised.value).splitlines()


def account(**lines: str) -> str:
    """A SendCloud account with some lines replaced."""
    fields = {"id": "sendcloud/main", "credentials": "{public_key: a, secret_key: b}", **lines}
    return "accounts:\n" + "".join(f"  {'-' if name == 'id' else ' '} {name}: {text}\n" for name, text in fields.items())


def test_a_good_file_becomes_typed_settings() -> None:
    config = parse_config(GOOD, environ={"WEBHOOK": "w"})
    (found,) = config.accounts
    assert (found.vendor, found.name, found.base_url) == ("sendcloud", "main", "http://127.0.0.1:8790/sendcloud/api")
    assert [key.value() for key in found.bound_settings(environ={"WEBHOOK": "w"}).webhook_keys] == ["w"]
    assert found.settings.start.isoformat() == "2026-01-01T00:00:00+00:00"
    assert config.account_ids(("amazon",)) == []
    assert config.account("sendcloud/main") is found


def test_defaults_fill_what_is_left_out() -> None:
    (found,) = parse_config(account(), environ={}).accounts
    assert found.base_url == "https://panel.sendcloud.sc/api"
    assert found.settings.writes_per_second == 15


def test_an_empty_file_configures_nothing() -> None:
    assert parse_config("# nothing yet\n", environ={}) == Config()


def test_credentials_are_looked_up_when_used() -> None:
    (found,) = parse_config(GOOD, environ={"WEBHOOK": "w"}).accounts
    secrets = {("sendcloud", "sendcloud/main"): b"kept"}
    values = found.resolve(lambda name, owner: secrets.get((name, owner)), environ={"PUBLIC": "p"})
    assert values == {"public_key": "p", "secret_key": "kept"}


def test_a_missing_credential_stops_its_account_only_and_names_the_place() -> None:
    (found,) = parse_config(GOOD, environ={"WEBHOOK": "w"}).accounts
    with pytest.raises(ConfigError, match=r"accounts.yaml:2: account sendcloud/main, credentials.public_key: .*export PUBLIC=…"):
        found.resolve(environ={})
    with pytest.raises(ConfigError, match=r"sync-pipelines secrets set sendcloud --account sendcloud/main"):
        found.resolve(lambda _name, _owner: None, environ={"PUBLIC": "p"})


def test_a_key_among_the_settings_is_looked_up_when_used_and_stops_nothing_else() -> None:
    (found,) = parse_config(account(settings='{webhook_keys: ["secret:webhook", "${NOT_SET}"]}'), environ={}).accounts
    assert found.resolve(environ={}) == {"public_key": "a", "secret_key": "b"}
    kept, missing = found.bound_settings(lambda name, owner: f"{name} of {owner}".encode(), environ={}).webhook_keys
    assert kept.value() == "webhook of sendcloud/main"
    with pytest.raises(ConfigError, match=r"account sendcloud/main, settings.webhook_keys\[1\]: .*export NOT_SET=…"):
        missing.value()


def test_a_secret_reference_where_no_secret_belongs_is_refused_instead_of_taken_for_the_value() -> None:
    (problem,) = problems(account(settings='{wms_status: {a: "secret:webhook"}}'))
    assert "settings.wms_status.a" in problem
    assert "${NAME}" in problem


def test_no_credential_shows_in_a_representation() -> None:
    (found,) = parse_config(account(credentials="{public_key: visible-nowhere, secret_key: b}"), environ={}).accounts
    assert "visible-nowhere" not in repr(found)
    (keyed,) = parse_config(account(settings="{webhook_keys: [visible-nowhere]}"), environ={}).accounts
    assert "visible-nowhere" not in repr(keyed) + keyed.settings.model_dump_json()
    assert "visible-nowhere" not in str(problems(account(settings="{webhook_keys: visible-nowhere}")))
    assert repr(Reference("${NAME}")) == "Reference(${NAME})"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (account(setings="{}"), "accounts.yaml:4: account sendcloud/main, setings: unknown key 'setings'; did you mean settings?"),
        (
            account(settings="{webhok_keys: []}"),
            "accounts.yaml:4: account sendcloud/main, settings.webhok_keys: unknown key 'webhok_keys'; did you mean webhook_keys?",
        ),
        (
            account(credentials="{public_key: a, secret_kye: b, secret_key: c}"),
            "accounts.yaml:3: account sendcloud/main, credentials.secret_kye: unknown key 'secret_kye'; did you mean secret_key?",
        ),
        (
            account(credentials="{public_key: a}"),
            "accounts.yaml:3: account sendcloud/main, credentials: secret_key missing; sendcloud needs public_key, secret_key",
        ),
        (
            account(credentials="{public_key: '${A', secret_key: b}"),
            "accounts.yaml:3: account sendcloud/main, credentials.public_key: has a broken reference; write ",
        ),
        (account(credentials="[a]"), "accounts.yaml:3: account sendcloud/main, credentials: must be a mapping, like"),
        (
            account(id="sendclod/main"),
            "accounts.yaml:2: account sendclod/main, id: unknown vendor 'sendclod'; did you mean sendcloud?",
        ),
        (account(id="main"), "accounts.yaml:2: account main, id: 'main' is no id; write it as vendor/name, like sendcloud/main"),
        (
            account() + account()[10:],
            "accounts.yaml:4: account sendcloud/main, id: this id stands on line 2 already; ids are unique",
        ),
        ("accounts:\n  - base_url: x\n", "accounts.yaml:2: account number 1, id: needs an id; add `id: vendor/name`"),
        (account(base_url="panel.example"), "accounts.yaml:4: account sendcloud/main, base_url: 'panel.example' is no address"),
        (account(base_url="https://[::1"), "accounts.yaml:4: account sendcloud/main, base_url: 'https://[::1' is no address"),
        (account(base_url="https://me:pw@host"), "accounts.yaml:4: account sendcloud/main, base_url: must have no user, password"),
        (
            account(settings="{reads_per_minute: many}"),
            "accounts.yaml:4: account sendcloud/main, settings.reads_per_minute: input should be a valid integer",
        ),
        (
            account(settings="{labels: {rules: [{option: '${NOT_SET}'}]}}"),
            "accounts.yaml:4: account sendcloud/main, settings.labels.rules[0].option: the environment variable NOT_SET is not set",
        ),
        (account(settings="5"), "accounts.yaml:4: account sendcloud/main, settings: input should be"),
        ("acounts: []\n", "accounts.yaml:1: acounts: unknown key 'acounts'; did you mean accounts?"),
        ("accounts: {}\n", "accounts.yaml:1: accounts: must be a list; begin every entry with `- id: …`"),
        ("accounts: [5]\n", "accounts.yaml:1: accounts[0]: must be a mapping that begins with `id: …`"),
        ("- id: a\n", "accounts.yaml:1: must begin with `accounts:`"),
        ("accounts: [\n", "accounts.yaml:2: not valid YAML:"),
        ("accounts: []\naccounts: []\n", "accounts.yaml:2: accounts stands twice; remove one of them"),
        ("accounts: &a [*a]\n", "accounts.yaml:1: an alias refers to what contains it"),
        ("? [a]\n: b\n", "accounts.yaml:1: a key must be a plain word"),
        (
            "alerts:\n  email: {host: h, sender: nobody}\n",
            "accounts.yaml:2: alerts, email.sender: string should match pattern",
        ),
        ("alerts:\n  people: [{nam: x}]\n", "accounts.yaml:2: alerts, people[0].name: is missing; add `name: …`"),
        ("retention:\n  runs_days: 3\n", "accounts.yaml:2: retention, runs_days: input should be greater than or equal to 4"),
        ("retention: {run_days: 9}\n", "accounts.yaml:1: retention, run_days: unknown key 'run_days'; did you mean runs_days?"),
        ("retention: 7\n", "accounts.yaml:1: retention: input should be"),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_fix(text: str, message: str) -> None:
    assert any(line.startswith(message) for line in problems(text)), problems(text)


def test_all_problems_are_named_at_once_in_the_files_order() -> None:
    lines = problems(account(base_url="x", settings="{a: 1, b: 2}") + "alert: {}\n")
    assert [int(line.split(":")[1]) for line in lines] == [4, 5, 5, 6]


def test_a_value_from_the_environment_never_shows_in_a_message() -> None:
    lines = problems(account(settings="{reads_per_minute: '${SECRET_NUMBER}'}"), SECRET_NUMBER="visible-nowhere")
    assert "visible-nowhere" not in "".join(lines)


def test_retention_is_given_in_days_and_the_rest_has_its_defaults() -> None:
    kept = parse_config("retention: {runs_days: 400, archive_days: 14}\n", environ={}).retention
    assert (kept.runs_days, kept.archive_days, kept.resolved_letters_days) == (400, 14, 30)
    assert parse_config("", environ={}).retention.runs_days == 90
    assert LEAST_RUNS_DAYS > RECOUNTED_DAYS


def test_yaml_keeps_texts_that_look_like_something_else() -> None:
    (found,) = parse_config(
        account(credentials="{public_key: NO, secret_key: 0123}", settings="{wms_status: {on: off}}"), environ={}
    ).accounts
    assert found.resolve(environ={})["public_key"] == "NO"
    assert found.settings.wms_status == {"on": "off"}


def test_a_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cp accounts.example.yaml accounts.yaml"):
        load_config(tmp_path / "accounts.yaml")
    with pytest.raises(ConfigError, match="can not be read"):
        load_config(tmp_path)
