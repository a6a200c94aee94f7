"""The sockets of a process that listens, from bind to the file of a unix socket."""

import socket
from pathlib import Path

import pytest

from tornado_auth.cli.listening import bound, inherited


def test_off_is_no_socket() -> None:
    with bound("TORNADO_AUTH_OPS_LISTEN", "off") as sockets:
        assert sockets == []


def test_what_was_bound_is_closed() -> None:
    with bound("TORNADO_AUTH_LISTEN", "127.0.0.1:0") as (listening,):
        address = listening.getsockname()
        socket.create_connection(address).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_the_file_of_a_unix_socket_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "auth.sock"
    with bound("TORNADO_AUTH_LISTEN", f"unix:{path}"):
        assert path.is_socket()
    assert not path.exists()


def test_but_not_the_one_that_another_process_made_there(tmp_path: Path) -> None:
    path = tmp_path / "auth.sock"
    with bound("TORNADO_AUTH_LISTEN", f"unix:{path}") as (first,):
        first.close()  # so that the system may give its number to the next file
        with bound("TORNADO_AUTH_LISTEN", f"unix:{path}"):
            pass
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.is_socket()


def test_nothing_is_said_of_a_file_that_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "auth.sock"
    with bound("TORNADO_AUTH_LISTEN", f"unix:{path}"):
        path.unlink()


def test_inherited_sockets_are_not_handed_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.dup().detach()
        with inherited((number,)) as (sock,):
            assert sock.getsockname() == listening.getsockname()
            assert not sock.get_inheritable()
        assert sock.fileno() == -1
