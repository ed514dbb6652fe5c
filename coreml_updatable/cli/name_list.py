"""Names as one writes them on the command line: `--layers fc1,fc2`, `--layers fc1 --layers fc2`, `--labels cat,dog`."""

from collections.abc import Collection, Sequence

import typer


def names(option: str, texts: Sequence[str], known: Collection[str] = ()) -> list[str]:
    """The names in ``texts``, split at commas, each once; a text that is one of ``known`` is one name, commas and all.

    BadParameter for an empty name.
    """
    found: list[str] = []
    for text in texts:
        found += [text] if text in known else [name.strip() for name in text.split(",")]
    if not all(found):
        raise typer.BadParameter(f"{option} {' '.join(texts)}: a name is empty, expected names such as a,b,c")
    return list(dict.fromkeys(found))


def labels(text: str, own: Sequence[str] | Sequence[int]) -> tuple[str, ...] | tuple[int, ...]:
    """Labels split at commas: whole numbers for a model whose ``own`` labels are whole numbers, else strings."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise typer.BadParameter(f"--labels {text}: a label is empty, expected labels such as a,b,c")
    if not own or isinstance(own[0], str):
        return found
    try:
        return tuple(int(label) for label in found)
    except ValueError:
        raise typer.BadParameter(
            f"--labels {text}: expected whole numbers, as the model's own labels are, such as {own[0]}"
        ) from None
