"""Serve a catalogue for trying it on a phone in the same network. In production any web server does."""

import os
import socket
from pathlib import Path
from typing import TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.site_files import INDEX

PathText: TypeAlias = str | os.PathLike[str]
FOREVER, SHORT = "public, max-age=31536000, immutable", "public, max-age=60"
CONNECTIONS = 1000


class Site(StaticFiles):
    """The files of a catalogue; releases and signatures never change. Hidden files and links are not served."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        result, status = super().lookup_path(path)
        hidden = any(name.startswith(".") for name in Path(path).parts)
        wanted = os.path.normpath(os.path.join(os.path.realpath(str(self.directory)), path))  # noqa: PTH118
        return ("", None) if hidden or "\\" in path or result != wanted else (result, status)

    def file_response(
        self, full_path: PathText, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        parts = Path(full_path).relative_to(os.path.realpath(str(self.directory))).parts
        release = parts[0] == "signatures" or (parts[0] == "models" and len(parts) > 3)
        response.headers["cache-control"] = FOREVER if release else SHORT
        response.headers["x-content-type-options"] = "nosniff"
        return response


def application(site: Path) -> ASGIApp:
    """Return the application that serves ``site``; texts are compressed, unless a range of their bytes is asked for."""
    plain = Starlette(routes=[Mount("/", Site(directory=site, html=True))])
    excluded = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream")
    packed = GZipMiddleware(plain, minimum_size=1000, exclude_content_types=excluded)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        ranged = scope["type"] == "http" and "range" in Headers(scope=scope)
        await (plain if ranged else packed)(scope, receive, send)

    return serve


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    result = socket.socket(family, socket.SOCK_STREAM)
    try:
        result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        result.bind((host, port))
        result.listen(1024)
    except OSError as error:
        result.close()
        raise CatalogueError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); choose another --host or --port"
        ) from None
    return result


def server(site: Path) -> uvicorn.Server:
    """A server for ``site``; run it with the sockets to listen at."""
    if not (site / INDEX).is_file():
        raise CatalogueError(f"{site}: has no {INDEX}, expected a catalogue; publish one first")
    config = uvicorn.Config(
        application(site),
        http="h11",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def address_of(host: str, port: int) -> str:
    """The address to open on another device; of a host that means all, this machine's own in its network."""
    name = _own_address() if host in ("0.0.0.0", "::") else host
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def _own_address() -> str:
    """The address from which this machine would speak to another network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # TEST-NET-1 of RFC 5737
            return str(asked.getsockname()[0])
        except OSError:
            return "127.0.0.1"
