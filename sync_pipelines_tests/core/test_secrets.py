"""Secrets are opened only by the right key for the right account, also while the master key changes."""

from __future__ import annotations

import threading

import pytest

from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.secrets import MASTER_KEY_VARIABLE, SHARED, MasterKeys, Secrets

ACCOUNT, OTHER = "toy/main", "toy/other"
OLD, NEW = MasterKeys.new(), MasterKeys.new()


@pytest.fixture
def secrets(database):
    return Secrets(database, MasterKeys.parse(OLD))


def test_a_value_comes_back_and_is_not_in_the_database(secrets, database):
    secrets.set("api_key", ACCOUNT, b"invented value")
    assert secrets.get("api_key", ACCOUNT) == b"invented value"
    with database.connect() as connection:
        row = connection.execute("select string_agg(s::text, '') from sync.secrets s").fetchone()[0]
    assert b"invented value".hex() not in row
    assert "invented value" not in row


def test_setting_again_replaces_value_and_data_key(secrets, database):
    def sealed():
        with database.connect() as connection:
            return connection.execute("select ciphertext, wrapped_key from sync.secrets").fetchone()

    secrets.set("api_key", ACCOUNT, b"one")
    before = sealed()
    secrets.set("api_key", ACCOUNT, b"one")
    assert all(old != new for old, new in zip(before, sealed(), strict=True))


def test_a_reference_takes_the_accounts_own_secret_before_the_shared_one(secrets):
    secrets.set("client_id", SHARED, b"shared")
    assert secrets.lookup("client_id", ACCOUNT) == b"shared"
    secrets.set("client_id", ACCOUNT, b"own")
    assert (secrets.lookup("client_id", ACCOUNT), secrets.lookup("client_id", OTHER)) == (b"own", b"shared")
    assert secrets.lookup("unknown", ACCOUNT) is None


def test_a_missing_secret_names_the_command_that_sets_it(secrets):
    with pytest.raises(ConfigError, match="sync-pipelines secrets set api_key --account toy/main"):
        secrets.get("api_key", ACCOUNT)


def test_a_row_copied_to_another_account_does_not_open(secrets, database):
    secrets.set("api_key", ACCOUNT, b"value")
    with database.connect() as connection:
        connection.execute("update sync.secrets set account = %s", (OTHER,))
    with pytest.raises(ConfigError, match="altered or belongs to another account"):
        secrets.get("api_key", OTHER)


@pytest.mark.parametrize("column", ["ciphertext", "wrapped_key"])
def test_an_altered_row_does_not_open(secrets, database, column):
    secrets.set("api_key", ACCOUNT, b"value")
    with database.connect() as connection:
        connection.execute(f"update sync.secrets set {column} = set_byte({column}, 20, (get_byte({column}, 20) + 1) % 256)")
    with pytest.raises(ConfigError, match="does not open"):
        secrets.get("api_key", ACCOUNT)


def test_the_wrong_master_key_is_named(secrets, database):
    secrets.set("api_key", ACCOUNT, b"value")
    with pytest.raises(ConfigError, match=f"which {MASTER_KEY_VARIABLE} does not hold"):
        Secrets(database, MasterKeys.parse(NEW)).get("api_key", ACCOUNT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not set"),
        (" ", "is empty"),
        ("not base64!", "key 1 is not base64"),
        (OLD + ",c2hvcnQ=", "key 2 has 5 bytes instead of 32"),
    ],
    ids=["unset", "empty", "not base64", "short"],
)
def test_a_wrong_master_key_variable_says_what_to_do(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        MasterKeys.parse(text)
    assert "secrets new-key" in str(caught.value)
    assert OLD not in str(caught.value)


def test_nothing_shows_a_key_or_a_value(secrets):
    secrets.set("api_key", ACCOUNT, b"invented value")
    shown = repr(secrets) + repr(MasterKeys.parse(OLD)) + repr(secrets.list())
    assert OLD not in shown
    assert "invented" not in shown


def test_the_list_shows_ages_and_keys(secrets, database):
    secrets.set("b", ACCOUNT, b"1")
    secrets.set("a", SHARED, b"2")
    with database.connect() as connection:
        connection.execute("update sync.secrets set set_at = set_at - interval '170 days' where name = 'b'")
    shared, own = secrets.list()
    assert (shared.name, shared.account, own.name, own.account) == ("a", SHARED, "b", ACCOUNT)
    assert own.age_s == pytest.approx(170 * 86400, abs=60)
    assert own.is_current
    assert not Secrets(database, MasterKeys.parse(f"{NEW},{OLD}")).list()[0].is_current


def test_a_deleted_secret_is_gone(secrets):
    secrets.set("api_key", ACCOUNT, b"value")
    assert secrets.delete("api_key", ACCOUNT)
    assert not secrets.delete("api_key", ACCOUNT)


def test_the_master_key_changes_while_others_read_and_write(secrets, database):
    """Readers hold both keys, as the procedure asks; none of them ever fails, and the values stay what they were."""
    names = [f"secret_{number}" for number in range(60)]
    for name in names:
        secrets.set(name, ACCOUNT, name.encode())
    both = Secrets(database, MasterKeys.parse(f"{NEW},{OLD}"))
    old_first = Secrets(database, MasterKeys.parse(f"{OLD},{NEW}"))
    stop, failures, reads = threading.Event(), [], []

    def read(reader: Secrets) -> None:
        while not stop.is_set():
            for name in names:
                try:
                    value = reader.get(name, ACCOUNT)
                except ConfigError as error:
                    failures.append(error)
                    return
                if value != name.encode():
                    failures.append(value)
            reads.append(len(names))

    def write() -> None:
        while not stop.is_set():
            both.set(names[-1], ACCOUNT, names[-1].encode())

    threads = [threading.Thread(target=read, args=(one,)) for one in (both, old_first, both)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    try:
        rewrapped = both.rotate_key()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert reads
    assert 59 <= rewrapped <= 60
    assert both.rotate_key() == 0
    only_new = Secrets(database, MasterKeys.parse(NEW))
    assert [only_new.get(name, ACCOUNT).decode() for name in names] == names


def test_rotating_without_the_old_key_says_which_is_missing(secrets, database):
    secrets.set("api_key", ACCOUNT, b"value")
    with pytest.raises(ConfigError, match="add the old key behind the new one"):
        Secrets(database, MasterKeys.parse(NEW)).rotate_key()
    assert secrets.get("api_key", ACCOUNT) == b"value"
