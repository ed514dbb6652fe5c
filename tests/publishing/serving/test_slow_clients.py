"""Clients that are slow, silent or gone: each is left, and the others are served meanwhile."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from coreml_updatable.publishing.serving import bounded
from tests.publishing.serving.conftest import Served
from tests.publishing.serving.test_server import MODEL, ask

GET = b"GET /index.json HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT, ENOUGH = 0.3, 20.0  # seconds


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("WAIT", WAIT), ("PATIENCE", WAIT), ("TICK", 0.05)):
        monkeypatch.setattr(bounded, name, seconds)


@contextmanager
def connected(served: Served, held: int = 4096) -> Iterator[socket.socket]:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, held)
        connection.settimeout(ENOUGH)
        connection.connect(("127.0.0.1", served.port))
        yield connection


def nothing(connection: socket.socket) -> None:
    """It says nothing at all."""


def half(connection: socket.socket) -> None:
    connection.sendall(b"GET /inde")


def a_second_half(connection: socket.socket) -> None:
    connection.sendall(GET)
    while not connection.recv(65536).endswith(b"}\n"):
        pass
    connection.sendall(b"GET /inde")


def a_body_that_does_not_end(connection: socket.socket) -> None:
    connection.sendall(b"GET /latest.json HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nab")


def a_model_not_taken(connection: socket.socket) -> None:
    connection.sendall(b"GET /models/Luncher/1.0/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")


def a_text_not_taken(connection: socket.socket) -> None:
    connection.sendall(b"GET /models/Luncher/1.0/large.txt HTTP/1.1\r\nHost: x\r\n\r\n")


def the_last_not_taken(connection: socket.socket) -> None:
    connection.sendall(b"GET /models/Luncher/1.0/large.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


SLOW: tuple[Callable[[socket.socket], None], ...] = (
    nothing, half, a_second_half, a_body_that_does_not_end, a_model_not_taken, a_text_not_taken, the_last_not_taken,
)  # fmt: skip


@pytest.mark.parametrize("behave", SLOW)
def test_a_slow_client_is_left(
    served: Served, behave: Callable[[socket.socket], None], capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("large.bin", "large.txt"):
        (served.site / "models/Luncher/1.0" / name).write_bytes(b"a line\n" * 2_500_000)
    with connected(served) as connection:
        behave(connection)
        began = time.monotonic()
        assert served.connections() <= 1
        assert ask(served, MODEL)[0].status == 200
        while served.connections() and time.monotonic() < began + ENOUGH:
            time.sleep(0.02)
        assert served.connections() == 0
    assert capfd.readouterr().err == ""


def dribble(connection: socket.socket) -> None:
    for _ in range(int(ENOUGH / 0.05)):
        connection.sendall(b"x")
        time.sleep(0.05)


def test_a_client_that_dribbles_is_left(served: Served) -> None:
    """A byte now and then makes no request."""
    with connected(served) as connection:
        connection.sendall(b"GET /")
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            dribble(connection)


def test_a_client_that_takes_its_time_gets_everything(served: Served) -> None:
    """Longer than the patience in all, and never as long without taking anything."""
    content = bytes(range(256)) * 4000
    (served.site / "models/Luncher/1.0/large.bin").write_bytes(content)
    with connected(served) as connection:
        connection.sendall(b"GET /models/Luncher/1.0/large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer, began = b"", time.monotonic()
        while piece := connection.recv(30_000):
            answer += piece
            time.sleep(WAIT / 30)
    assert time.monotonic() - began > WAIT
    assert answer.endswith(content)


def test_a_slow_line_is_not_taken_for_a_client_that_stands_still(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system holds bytes too, and asks for more only when much of them is gone."""
    monkeypatch.setattr(bounded, "PATIENCE", 1.5)
    (served.site / "models/Luncher/1.0/large.bin").write_bytes(bytes(12_000_000))
    with connected(served, 65_536) as connection:
        connection.sendall(b"GET /models/Luncher/1.0/large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        taken, began = 0, time.monotonic()
        while piece := connection.recv(32_768):
            taken += len(piece)
            time.sleep(0.1 if time.monotonic() < began + 4 else 0)
    assert taken > 12_000_000


def test_clients_that_vanish_do_no_harm(served: Served) -> None:
    (served.site / "models/Luncher/1.0/large.bin").write_bytes(bytes(20_000_000))
    for _ in range(20):
        with connected(served) as connection:
            a_model_not_taken(connection)
            connection.recv(1000)
    assert ask(served, MODEL)[0].status == 200
    began = time.monotonic()
    while served.connections() and time.monotonic() < began + ENOUGH:
        time.sleep(0.02)
    assert served.connections() == 0
