"""`python -m benchmarks.tuned_samples SAMPLE... [--write]`: tune samples for their recipes' own owners.

A sample that was built (`make updatable`) is tuned on half of its owner's pictures and of its base test set, and judged
on the other half, with as many shots as these halves have, at most those that its own table ends with. Prints a line of
the table in docs/personalization.md for each; --write puts values whose gain is surely above zero into the recipe.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from coreml_updatable.building.build import variants_of
from coreml_updatable.building.owner import laboratory, parts_of
from coreml_updatable.building.replay_stage import candidates
from coreml_updatable.building.request import BuildRequest, prepare
from coreml_updatable.building.sources import collect, convert_source
from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.errors import DataError
from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.personalization.owners import OwnerSplit
from coreml_updatable.personalization.tuning import TuneResult, TuneSettings, searched
from coreml_updatable.publishing.report.tune import listed
from coreml_updatable.recipes.tuned import write_tuned

SAMPLES = Path(__file__).parents[1] / "sample_models"
BUDGET, OWNERS, TEST_OWNERS = 100, 64, 300
VARIANTS = ("network", "k-NN")
FEWER = 8  # times, where the trained layers are several and large


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", nargs="+")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where the samples were built")
    parser.add_argument("--no-replay", action="store_true", help="leave replay sets out")
    parser.add_argument("--write", action="store_true", help="write what surely gains into the recipe")
    given = parser.parse_args()
    for sample in given.samples:
        for variant in (0, 1):
            try:
                result, shots = _tuned(SAMPLES / sample / "recipe.toml", given.build, variant, not given.no_replay)
            except DataError as error:
                print(f"{sample}, {VARIANTS[variant]}: {error}", flush=True)
                continue
            print(_line(sample, VARIANTS[variant], result, shots), flush=True)
            if given.write and result.gain.low > 0:
                write_tuned(SAMPLES / sample / "recipe.toml", result.chosen)


def _tuned(recipe: Path, build: Path, variant: int, replay: bool) -> tuple[TuneResult, int]:
    request = prepare(recipe, None, None, None, build)
    assert isinstance(request, BuildRequest)
    owner = request.recipe.personalization
    assert owner is not None
    dataset = collect(request, lambda _fraction, _detail: None)
    source = convert_source(request, dataset, lambda _stage, _fraction, _detail: None)
    variants = variants_of(request.recipe, source.converted, dataset)
    part = next(parts_of(request.recipe, dataset, source.converted, variants))
    stored = candidates(part.data.train.labels)
    lab = laboratory(request.recipe, part, part.models[variant : variant + 1], reference=stored)
    shots = min(owner.shots[-1], *(len(rows) // 2 for rows in lab.world.split.owners.values()))
    lab = replace(lab, world=replace(lab.world, shots=shots), shots=(shots,), protocols=("at_once",))
    few = FEWER if lab.contenders[0].engine == "graph" else 1
    settings = TuneSettings(
        budget=BUDGET // few,
        owners=OWNERS // few,
        test_owners=TEST_OWNERS // few,
        shots=shots,
        replay=replay and not lab.contenders[0].is_knn,
    )
    tuning, testing = (_half(lab, half) for half in (0, 1))
    return searched(tuning, testing, request.recipe.name, settings, _say).result, shots


def _say(_fraction: float, said: str) -> None:
    sys.stderr.write(f"\r{said}  ")


def _half(lab: Lab, half: int) -> Lab:
    """The same owner with every second of his rows, of the base test set and of the rows to store."""
    split = lab.world.split

    def some(rows: Int64Array) -> Int64Array:
        kinds = np.array([lab.world.kinds[row] for row in rows], object)
        result = [rows[kinds == kind][half::2] for kind in dict.fromkeys(kinds.tolist())]
        return np.sort(np.concatenate(result)) if result else rows

    def of_each(groups: Mapping[str, Int64Array]) -> dict[str, Int64Array]:
        return {kind: rows[half::2] for kind, rows in groups.items()}

    parted = OwnerSplit(
        of_each(split.owners), some(split.test), split.unknown, some(split.reference), of_each(split.held_out)
    )
    return replace(lab, world=replace(lab.world, split=parted), memory={})


def _line(sample: str, variant: str, result: TuneResult, shots: int) -> str:
    gain = result.gain
    moved = f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    owners = [
        f"{100 * item.personal:.1f}% / {100 * max(0.0, item.forgetting):.1f}" for item in (result.before, result.after)
    ]
    return f"| {sample}, {variant} | {shots} | {' | '.join(owners)} | {moved} | {listed(result.chosen)} |"


if __name__ == "__main__":
    main()
