"""`coreml-updatable converters`: which there are, which are installed, and what installs the rest."""

from typing import Annotated

import typer

from coreml_updatable.cli.output import say, say_json


def converters(json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """List the converters and what each still needs."""
    from importlib.metadata import entry_points

    from coreml_updatable.building.converter import GROUP
    from coreml_updatable.building.converter_page import told

    listed = [told(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]
    if json:
        from dataclasses import asdict

        say_json([asdict(one) for one in listed], indent=1)
        return
    width = max(len(one.name) for one in listed) if listed else 0
    for one in listed:
        state = f"needs {', '.join(one.missing)}: {one.command}" if one.missing else "installed"
        say(f"{one.name:{width}}  {one.summary}", f"{'':{width}}  {state}")
