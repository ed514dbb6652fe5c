"""`coreml-updatable serve SITE`: a catalogue for a phone in the same network."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import say


def serve(
    site: Annotated[Path, typer.Argument(help="A catalogue that `publish` wrote.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other devices connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")] = 8000,
) -> None:
    """Serve a catalogue on the local network, to try it out.

    Press Ctrl-C to stop. For production, put the folder on any web server or a CDN.
    """
    from coreml_updatable.publishing.serving import address_of, listen
    from coreml_updatable.publishing.serving import server as server_for

    server = server_for(site)
    with listen(host, port) as listening:
        address = address_of(host, int(listening.getsockname()[1]))
        say(address)
        if sys.stdout.isatty():
            import segno

            segno.make(address).terminal(out=sys.stdout, compact=True)
        sys.stdout.flush()
        server.run(sockets=[listening])
