"""`coreml-updatable keygen KEY`: the pair of keys that a catalogue is signed with."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import say


def keygen(
    key: Annotated[Path, typer.Argument(help="File for the private key; the public key goes to KEY.pub.")],
) -> None:
    """Create an Ed25519 key pair to sign catalogues.

    Keep the private key away from any folder that is served. Apps ship the public key.
    """
    from coreml_updatable.publishing.catalogue.signing import PUBLIC_SUFFIX, make_keys

    public = make_keys(key)
    say(f"{key}: the private key, readable only by you", f"{key}{PUBLIC_SUFFIX}: the public key, {public}")
