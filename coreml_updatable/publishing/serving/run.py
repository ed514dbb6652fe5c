"""A server for one catalogue: bounded in headers, in waiting and in connections."""

import socket
from pathlib import Path

import uvicorn

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.site_files import INDEX
from coreml_updatable.publishing.serving.app import application
from coreml_updatable.publishing.serving.bounded import Bounded

HEADERS = 16 * 1024  # bytes of a request
CONNECTIONS = 1000


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(1024)
    except OSError as error:
        made.close()
        raise CatalogueError(
            f"{host}:{port}: can not be listened at ({error.strerror or error}); choose another --host or --port"
        ) from None
    return made


def server(site: Path) -> uvicorn.Server:
    """A server for ``site``; run it with the sockets to listen at."""
    if not (site / INDEX).is_file():
        raise CatalogueError(f"{site}: has no {INDEX}, expected a catalogue; publish one first")
    config = uvicorn.Config(
        application(site),
        http=Bounded,
        h11_max_incomplete_event_size=HEADERS,
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
