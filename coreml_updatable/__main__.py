"""``python -m coreml_updatable``: the command line, where its script is not on the path."""

from coreml_updatable.cli import main

main()
