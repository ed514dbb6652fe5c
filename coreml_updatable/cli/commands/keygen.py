"""`coreml-updatable keygen KEY`: the pair of keys that a catalogue is signed with."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import say


def keygen(
    key: Annotated[Path, typer.Argument(help="Where the private key goes; KEY.pub is the public one.")],
) -> None:
    """Make an Ed25519 key to sign catalogues with. Keep it where nothing is served; apps carry the public one."""
    from coreml_updatable.publishing.catalogue.signing import PUBLIC_SUFFIX, make_keys

    public = make_keys(key)
    say(f"{key}: the private key, readable by you alone", f"{key}{PUBLIC_SUFFIX}: the public key, {public}")
