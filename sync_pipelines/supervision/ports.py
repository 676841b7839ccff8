"""Ports: free before we listen, answering after."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

from sync_pipelines.core.errors import ConfigError


def require_free(host: str, port: int, what: str, option: str) -> None:
    """Checks that we can listen.

    Args:
        host: Address that will be bound.
        port: The port.
        what: Who wants it, for the message.
        option: Option or variable that chooses another one.

    Raises:
        ConfigError: Somebody listens there, or the address is not ours.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            raise ConfigError(
                f"the {what} can not listen on {host}:{port}: {error.strerror or error}. "
                f"Stop what uses it, or choose another port: {option}"
            ) from error


def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def answers_ok(url: str) -> bool:
    """Whether ``GET`` is answered with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port(first: int) -> int:
    """A free loopback port at or above ``first`` and below 32768, where outgoing connections begin to take theirs from.

    Raises:
        ConfigError: There is none.
    """
    for port in range(first, 32768):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ConfigError(f"no loopback port between {first} and 32767 is free")
