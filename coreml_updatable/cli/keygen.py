"""`coreml-updatable keygen KEY`: the pair of keys that a catalogue is signed with."""

from pathlib import Path
from typing import Annotated

import typer


def keygen(
    key: Annotated[Path, typer.Argument(help="Where the private key goes; KEY.pub is the public one.")],
) -> None:
    """Make an Ed25519 key to sign catalogues with. Keep it where nothing is served; apps carry the public one."""
    from coreml_updatable.publishing.catalogue.keys import PUBLIC_SUFFIX, make_keys

    public = make_keys(key)
    typer.echo(f"{key}: the private key, readable by you alone\n{key}{PUBLIC_SUFFIX}: the public key, {public}")
