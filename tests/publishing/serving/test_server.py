"""What the server gives, to whom, and what it never gives: over real sockets."""

import gzip
import http.client
import json
import socket
from pathlib import Path

import pytest

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.serving import address_of, listen, server
from tests.publishing.serving.conftest import Served

MODEL = "/models/Luncher/1.0/Luncher.mlmodel"


def ask(served: Served, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def raw(served: Served, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_a_file_that_is_known_is_not_sent_again(served: Served) -> None:
    response, body = ask(served, MODEL)
    assert body == (served.site / MODEL[1:]).read_bytes()
    again, nothing = ask(served, MODEL, If_None_Match=response.headers["ETag"])
    assert (again.status, nothing) == (304, b"")
    assert ask(served, MODEL, If_None_Match='"other"')[0].status == 200
    head, nothing = ask(served, MODEL, "HEAD")
    assert (head.status, nothing, head.headers["Content-Length"]) == (200, b"", str(len(body)))


def test_versions_are_cached_for_ever_and_latest_is_not(served: Served) -> None:
    signature = next((served.site / "signatures").iterdir())
    for path in (MODEL, f"/signatures/{signature.name}"):
        assert ask(served, path)[0].headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in ("/latest.json", "/index.json", "/", "/models/Luncher/"):
        response, _ = ask(served, path)
        assert (response.status, response.headers["Cache-Control"]) == (200, "public, max-age=60")


def test_a_page_that_was_replaced_is_given_anew(served: Served) -> None:
    before, _ = ask(served, "/latest.json")
    served.publish("2.0")
    after, body = ask(served, "/latest.json", If_None_Match=before.headers["ETag"])
    assert after.status == 200
    assert json.loads(body)["models"] == {"Luncher": "2.0"}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=10-", 10, -1), ("bytes=-7", -7, -1), ("bytes=5-999999", 5, -1)],
)
@pytest.mark.parametrize("path", [MODEL, "/index.json"])
def test_ranges(served: Served, path: str, asked: str, first: int, last: int) -> None:
    whole = (served.site / path[1:]).read_bytes()
    response, body = ask(served, path, Range=asked)
    end = len(whole) if last == -1 else last + 1
    assert response.status == 206
    assert body == whole[first:end]
    start = first % len(whole) if first < 0 else first
    assert response.headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{len(whole)}"


def test_a_range_of_another_file_gets_all_of_this_one(served: Served) -> None:
    whole = (served.site / MODEL[1:]).read_bytes()
    response, body = ask(served, MODEL, Range="bytes=5-", If_Range='"another file"')
    assert (response.status, body) == (200, whole)
    assert ask(served, MODEL, Range=f"bytes={len(whole)}-")[0].status == 416


def test_texts_are_compressed_and_models_are_not(served: Served) -> None:
    plain, whole = ask(served, "/index.json")
    packed, body = ask(served, "/index.json", Accept_Encoding="br, gzip;q=0.5")
    assert gzip.decompress(body) == whole
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in ask(served, MODEL, Accept_Encoding="gzip")[0].headers


SECRET = b"a secret outside"
OUTSIDE = (
    "/../secret.txt",
    "/models/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/%252e%252e/secret.txt",
    "/..%5csecret.txt",
    "/..\\secret.txt",
    "//secret.txt",
    "/link.txt",
    "/models/linked/secret.txt",
    "/.lock",
    "/index.json%00.html",
    "/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/\u2025/secret.txt".encode().decode("latin-1"),
    "/CON",
    "/models",
    "/" + "a/" * 2000,
    "http://elsewhere/index.html/../../secret.txt",
)


def test_nothing_outside_is_given(served: Served) -> None:
    outside = served.site.parent / "secret.txt"
    outside.write_bytes(SECRET)
    (served.site / "link.txt").symlink_to(outside)
    (served.site / "models" / "linked").symlink_to(served.site.parent)
    for path in OUTSIDE:
        answer = raw(served, b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert SECRET not in answer, path
        assert answer.split(b" ")[1] in (b"404", b"400"), (path, answer[:100])


def test_only_get_and_head(served: Served) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        response, _ = ask(served, "/index.json", method)
        assert response.status == 405


def test_what_cannot_be_served_is_one_sentence(served: Served, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"has no index\.json, expected a catalogue; publish one first"):
        server(tmp_path / "nowhere")
    with pytest.raises(CatalogueError, match=r"127\.0\.0\.1:\d+: cannot listen there .*; choose another --host or"):
        listen("127.0.0.1", served.port)
    assert address_of("127.0.0.1", 8000) == "http://127.0.0.1:8000/"
    assert address_of("::1", 80) == "http://[::1]:80/"
    assert "0.0.0.0" not in address_of("0.0.0.0", 80)
