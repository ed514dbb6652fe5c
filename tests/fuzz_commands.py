"""Every command that reads a model, run on hostile models in processes of their own: time, memory, and how it ends.

    python -m tests.fuzz_commands [--cases 10000] [--first 0] [--workers 2]

Each case follows from its number. A worker imports all libraries once and forks a process for every case, whose
processor time and most memory the system tells when it ends (``wait4``), so a fault of one case harms no other.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from coreml_updatable.spec.messages import Model, Model_pb2
from tests.runtime.growing_models import growing_model
from tests.runtime.mutations import any_layer, damaged_bytes, damaged_fields, layer_kinds, rewired

SECONDS = 20  # of the processor
MEMORY = 2**30  # beyond what the model's file weighs
PATIENCE = 120  # seconds on the clock, after which a case that sleeps is stopped
COMMANDS = ("check", "inspect", "diff", "mark", "knn", "layout", "predict", "predict", "update", "convert", "replay")
ENDS = (0, 1, 2)


@dataclass(frozen=True)
class Outcome:
    """``fault`` is empty where all is well."""

    seed: int
    command: str
    status: int
    seconds: float
    memory: int
    said: str
    fault: str


def case(seed: int, folder: Path) -> list[str]:
    """The command line of a case, whose files are written into ``folder``."""
    random = Random(seed)
    content, model = _model(random)
    (folder / "a.mlmodel").write_bytes(content)
    (folder / "rows.json").write_text(json.dumps(_rows(model, random)))
    command = random.choice(COMMANDS)
    words = [command, "a.mlmodel"]
    match command:
        case "diff":
            (folder / "b.mlmodel").write_bytes(_model(random)[0])
            words.append("b.mlmodel")
        case "mark" | "knn" | "convert":
            words += ["-o", "made.mlmodel"]
            if command == "mark" and random.random() < 0.3:
                words += random.choice((["--last", "2"], ["--reserved", "2"], ["--head", "new", "--labels", "a,b"]))
        case "layout":
            words += ["--to", random.choice(("single", "pipeline", "split")), "-o", "made.mlmodel"]
        case "predict":
            words.append("rows.json")
        case "update":
            words += ["rows.json", "-o", "made.mlmodel"]
            if random.random() < 0.5:
                words += ["--epochs", "2"]
        case "replay":
            words = [command, "rows.json", "a.mlmodel"]
    if command in ("check", "inspect", "diff", "predict") and random.random() < 0.5:
        words.append("--json")
    return words


def _model(random: Random) -> tuple[bytes, Model]:
    sound = _sound()
    match random.randrange(8):
        case 0 | 1 | 2 | 3:
            model = growing_model(random.randrange(2**40))
        case 4:
            model = any_layer(random.choice(layer_kinds()), random)
        case 5:
            model = damaged_fields(random.choice(sound), random)
        case 6:
            model = rewired(random.choice(sound), random)
        case _:
            content = damaged_bytes(
                random.choice(sound).SerializeToString(), random.choice(sound).SerializeToString(), random
            )
            model = Model_pb2.Model()
            with suppress(Exception):
                model.ParseFromString(content)
            return content, model
    return model.SerializeToString(), model


_kept: list[Model] = []


def _sound() -> list[Model]:
    if not _kept:
        from tests.marking.markable import markable_models
        from tests.runtime.sound_models import sound_models

        _kept.extend([*sound_models(), *markable_models(), *_trees()])
    return _kept


def _trees() -> list[Model]:
    """An ensemble of three trees of two leaves."""
    model = Model_pb2.Model(specificationVersion=4)
    model.description.input.add(name="x").type.multiArrayType.shape.append(4)
    model.description.output.add(name="y").type.doubleType.SetInParent()
    model.description.predictedFeatureName = "y"
    ensemble = model.treeEnsembleRegressor.treeEnsemble
    ensemble.numPredictionDimensions = 1
    ensemble.basePredictionValue.append(0.0)
    for tree in range(3):
        ensemble.nodes.add(
            treeId=tree, nodeId=0, nodeBehavior=0, branchFeatureIndex=1, branchFeatureValue=0.5,
            trueChildNodeId=1, falseChildNodeId=2,
        )  # fmt: skip
        for node in (1, 2):
            leaf = ensemble.nodes.add(treeId=tree, nodeId=node, nodeBehavior=6)
            leaf.evaluationInfo.add(evaluationIndex=0, evaluationValue=float(node))
    return [model]


def _rows(model: Model, random: Random) -> Any:
    rows = []
    for _ in range(random.choice((1, 3, 10))):
        row: dict[str, Any] = {}
        for feature in (*model.description.input, *model.description.trainingInput):
            row[str(feature.name)] = _value(feature, random)
        rows.append(row)
    return rows


def _value(feature: Any, random: Random) -> Any:
    match feature.type.WhichOneof("Type"):
        case "multiArrayType":
            shape = [int(length) for length in feature.type.multiArrayType.shape][:6]
            return _full([length if 0 < length <= 64 else 2 for length in shape], random)
        case "stringType":
            return random.choice(("a", "b"))
        case "dictionaryType":
            return {"a": 1.0}
    return random.choice((0, 1, 2.5))


def _full(shape: list[int], random: Random) -> Any:
    if not shape:
        return random.choice((0, 1, 1, 2, 3, 1000))
    return [_full(shape[1:], random) for _ in range(shape[0])]


def tried(seed: int) -> Outcome:
    """Run a case in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="fuzz.") as name:
        folder = Path(name)
        words = case(seed, folder)
        weight = sum(path.stat().st_size for path in folder.glob("*.mlmodel"))
        child = os.fork()
        if child == 0:
            _run(words, folder)
        status, usage = _waited(child)
        said = (folder / "stderr").read_text(errors="replace") if (folder / "stderr").exists() else ""
        seconds = usage.ru_utime + usage.ru_stime
        memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        faults = [
            "traceback" if "Traceback" in said or status not in ENDS else "",
            "slow" if seconds > SECONDS else "",
            "memory" if memory > MEMORY + weight else "",
        ]
        return Outcome(seed, " ".join(words), status, seconds, memory, said[-2000:], " ".join(filter(None, faults)))


def _waited(child: int) -> tuple[int, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            until = float("inf")
        time.sleep(0.002)


def _run(words: list[str], folder: Path) -> None:
    """In the child: never returns."""
    status = 99
    try:
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (2 * SECONDS, 2 * SECONDS))
        for stream, target in ((1, os.devnull), (2, "stderr")):
            os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600), stream)
        sys.argv = ["coreml-updatable", *words]
        from coreml_updatable.cli.app import main

        warnings.simplefilter("ignore")
        main()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:  # noqa: BLE001  # what a user would see as a traceback
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def ready() -> None:
    """Import what every case needs; torch must not start threads before a fork."""
    from importlib import import_module

    import torch

    torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"  # of coremltools' converters, which make some of the models
    from coreml_updatable.cli import app

    for name in app.COMMANDS:
        import_module(f"coreml_updatable.cli.commands.{name}")
    for name in ("runtime.network", "runtime.pipeline", "converting.layouts", "converting.marked", "updating"):
        import_module(f"coreml_updatable.{name}")
    _sound()


def outcomes(first: int, count: int, workers: int) -> Iterator[Outcome]:
    with get_context("spawn").Pool(workers, ready) as pool:
        yield from pool.imap_unordered(tried, range(first, first + count), chunksize=8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--say", action="store_true", help="print every case")
    given = parser.parse_args()
    ended: Counter[str] = Counter()
    slowest = largest = None
    faults = 0
    for outcome in outcomes(given.first, given.cases, given.workers):
        ended[f"{outcome.command.split()[0]} {outcome.status}"] += 1
        slowest = max(slowest or outcome, outcome, key=lambda item: item.seconds)
        largest = max(largest or outcome, outcome, key=lambda entry: entry.memory)
        if outcome.fault or given.say:
            faults += bool(outcome.fault)
            said = outcome.said if outcome.fault else outcome.said[:200]
            print(f"{outcome.seed}: {outcome.command}: {outcome.fault} status {outcome.status}, ", end="")
            print(f"{outcome.seconds:.1f} s, {outcome.memory / 2**20:.0f} MB\n{said}", flush=True)
    assert slowest is not None
    assert largest is not None
    print(f"{given.cases} cases, {faults} faults; slowest {slowest.seconds:.1f} s (case {slowest.seed}), largest "
          f"{largest.memory / 2**20:.0f} MB (case {largest.seed})")  # fmt: skip
    print(", ".join(f"{name}: {count}" for name, count in sorted(ended.items())))
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
