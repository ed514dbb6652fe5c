"""`coreml-updatable build` of a model that never learns on the device (``frozen.toml``)."""

from pathlib import Path

from coreml_updatable.cli.output import note, say, say_json
from coreml_updatable.errors import RecipeError


def build_frozen_model(
    path: Path,
    data: Path | None,
    backbone: str | None,
    weights: Path | None,
    out: Path,
    *,
    trust_code: bool,
    json: bool,
) -> None:
    """Build it and say what it is, and loudly what it is not."""
    from coreml_updatable.building.frozen import build_frozen
    from coreml_updatable.building.frozen_recipe import read_frozen

    for option, given in (("--data", data), ("--backbone", backbone)):
        if given is not None:
            raise RecipeError(f"{option}: is of no use for {path.parent.name}, which never learns; leave it out")
    recipe = read_frozen(path)
    recipe = recipe.model_copy(update={"trust_code": recipe.trust_code or trust_code})
    target = out / path.resolve().parent.name
    report = build_frozen(recipe, path.resolve().parent, weights, target)
    if json:
        say_json(report, indent=2)
        return
    note(*(f"NOTE: {remark}" for remark in report["notes"]))
    say(
        f"{target / f'{recipe.name}.mlmodel'}: answers as its source within {report['relative_difference']:.2g} of the "
        f"range of its answers, the same label in {report['same_label']:.1%} of the places, where "
        f"{report['labels_seen']} of the {len(report['labels'])} labels win; {len(report['problems'])} warnings of the "
        "rules",
        f"{target / 'report.html'}: shows it",
        f"It does not learn on the device: {recipe.why}",
        f"What marking says of it: {report['marking_says']}",
    )
