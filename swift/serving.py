"""Serve catalogues badly, for the tests of the Swift package: FOLDER/NAME at /NAME/, and the faults of networks.

/portal/ answers with a web page, /missing/ with 404 and a page, as most sites do, /broken/ with an error of the server;
/half/ is /site/ whose models break off in the middle until they are asked for from there on; /wrong/ is /site/ with a
flipped bit in each model; /half-pictures/ and /wrong-pictures/ are the same for pictures; /endless/ never ends.
"""

import argparse
import http.server
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PIECE = 1 << 16


class Handler(http.server.BaseHTTPRequestHandler):
    """One GET."""

    folder: Path

    def do_GET(self) -> None:
        fault, _, rest = self.path.lstrip("/").partition("/")
        match fault:
            case "portal":
                self.answer(200, b"<!DOCTYPE html><title>Welcome to our cafe</title>", "text/html")
            case "missing":
                self.answer(404, b"<!DOCTYPE html><title>Not found</title>", "text/html")
            case "broken":
                self.answer(503, b"", "text/plain")
            case "endless":
                self.send_response(200)
                self.end_headers()
                with suppress(ConnectionError):  # whoever has enough hangs up
                    for piece in endless():
                        self.wfile.write(piece)
            case _:
                self.file(fault, rest)

    def file(self, fault: str, rest: str) -> None:
        fault, _, pictures = fault.partition("-")
        top = self.folder / ("site" if fault in ("half", "wrong") else fault)
        path = (top / rest).resolve()
        if not path.is_relative_to(top.resolve()) or not path.is_file():
            self.answer(404, b"<!DOCTYPE html><title>Not found</title>", "text/html")
            return
        content = path.read_bytes()
        faulty = path.suffix == (".png" if pictures else ".mlmodel")
        if fault == "wrong" and faulty:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and asked.endswith("-"):
            start = int(asked[len("bytes=") : -1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "application/json" if path.suffix == ".json" else "application/octet-stream")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) // 2 if fault == "half" and faulty and start == 0 else len(content)
        self.wfile.write(content[start:end])
        self.close_connection = True

    def answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def endless() -> Iterator[bytes]:
    for _ in range(1 << 14):
        yield b" " * PIECE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    Handler.folder = parser.parse_args().folder
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
