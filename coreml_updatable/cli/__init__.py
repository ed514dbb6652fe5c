"""The command line ``coreml-updatable``: one file a command, heavy imports inside the commands."""

from coreml_updatable.cli.app import main

__all__ = ["main"]
