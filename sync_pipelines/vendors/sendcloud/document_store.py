"""Where documents lie outside the database: as files below a directory, or as objects of a store such as S3.

A file is replaced by a rename and an object by one put, so that nobody reads half of either. Credentials of a store come from the
environment, as its package documents.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sync_pipelines.core.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from upath import UPath

SETTING = "settings.labels.directory"

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "memory": "fsspec"}
"""The stores a URL may begin with, each with the package that speaks to it; ``memory`` ends with its process and is for tests."""


def checked(directory: str) -> str:
    """A directory or a store's URL, as given.

    Raises:
        ValueError: It is the URL of something else.
    """
    scheme, is_url, place = directory.partition("://")
    if not is_url:
        return directory
    if scheme not in PACKAGES:
        known = ", ".join(f"{name}://" for name in PACKAGES)
        raise ValueError(f"{scheme}:// is no store that documents can be kept in; give a directory, or a URL with one of {known}")
    if not place.strip("/"):
        raise ValueError(f"names no bucket; write {scheme}://bucket/labels")
    return directory


def require(account: str, location: str) -> None:
    """Makes sure that this machine can speak to the store of a location; a directory needs nothing.

    Raises:
        ConfigError: The store's package is not installed, or does not work.
    """
    if not _is_url(location):
        return
    package = PACKAGES[location.partition("://")[0]]
    try:
        import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{account}, {SETTING}: {location} needs the package {package}, which cannot be imported here ({error});"
            f" run `pip install {package}`",
            account=account,
        ) from error


def join(directory: str, *names: str) -> str:
    """The location of a document below a directory."""
    if not _is_url(directory):
        return str(Path(directory, *names))
    from upath import UPath

    return str(UPath(directory).joinpath(*names))


def write(account: str, location: str, content: bytes) -> None:
    """Replaces a document at once.

    Raises:
        ConfigError: As `require`.
        TransientError: The store did not take it.
    """
    if not _is_url(location):
        _write_file(Path(location), content)
        return
    with _object(account, location) as found:
        found.fs.pipe_file(found.path, content)


def read(account: str, location: str) -> bytes:
    """A document's bytes.

    Raises:
        OSError: There is no such document, or the file cannot be read.
        ConfigError: As `require`.
        TransientError: The store did not answer, or refused.
    """
    if not _is_url(location):
        return Path(location).read_bytes()
    with _object(account, location) as found:
        try:
            content: bytes | None = found.fs.cat_file(found.path)
        except FileNotFoundError:
            content = None
    if content is None:
        raise FileNotFoundError(errno.ENOENT, "there is no such object", location)
    return content


def remove(account: str, location: str) -> None:
    """Removes a document, if it is still there; raises as `write`."""
    if not _is_url(location):
        Path(location).unlink(missing_ok=True)
        return
    with _object(account, location) as found:
        try:
            found.fs.rm_file(found.path)
        except FileNotFoundError:
            return


def _is_url(location: str) -> bool:
    return "://" in location


@contextmanager
def _object(account: str, location: str) -> Iterator[UPath]:
    """An object of a store; what goes wrong with it may be another matter later, and is told without the store's own words."""
    require(account, location)
    from upath import UPath

    try:
        yield UPath(location)
    except Exception as error:  # every package has a tree of errors of its own
        reason = type(error).__name__
        raise TransientError(
            f"{account}: the store of {location} cannot be used ({reason});"
            " see to its bucket and to its credentials in the environment",
            account=account,
        ) from error


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
