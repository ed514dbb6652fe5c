"""The rows of a build and its trained, converted network: made, or as an earlier run left them."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from coreml_updatable.building.cache import SECONDS, is_remembered, remembered
from coreml_updatable.building.request import BuildRequest, FixedRequest
from coreml_updatable.converting.contract import (
    Checkpoint,
    ConversionRequest,
    Converted,
    ConvertedSource,
    HeadOnFeatures,
    SourceRequest,
)
from coreml_updatable.converting.registry import cross_validates, find_converter, load_converter
from coreml_updatable.data.dataset import Dataset, load_dataset
from coreml_updatable.data.drawn import WORTH_PROCESSES
from coreml_updatable.data.inputs import Examples, Progress
from coreml_updatable.data.sample_code import called, load_function
from coreml_updatable.data.stored import StoredRows
from coreml_updatable.data.wanted import Owner, SampleFunction, Wanted
from coreml_updatable.errors import SourceError, a_kind
from coreml_updatable.recipes.recipe import ArraySection, Recipe
from coreml_updatable.spec.io import model_bytes, parse_model

PICTURES = "pictures"  # the stage, and what files of it begin with
FEATURES = "features "  # in front of what they are of, in the cache
PARTS = ("train", "validation", "test", "owner_support", "owner_held_out")

Tell: TypeAlias = Callable[[float, str], None]


@contextmanager
def collecting(request: BuildRequest) -> Iterator[Callable[[Tell], Dataset]]:
    """Yield a function that gives all rows of the build, and meanwhile collect them where other processes draw them.

    An error that leaves the block stops the drawing.
    """
    recipe, data = request.recipe, request.recipe.data
    by_processes = len(data.drawn_kinds) * data.drawn_per_kind >= WORTH_PROCESSES
    if request.data is not None or data.draw is None or isinstance(recipe.input, ArraySection) or not by_processes:
        yield lambda tell: collect(request, tell)
        return
    load_function(request.folder, data.draw, recipe.trust_code)  # its mistakes come first
    left, listening = Event(), list[Tell]()

    def tell(fraction: float, detail: str) -> None:
        if left.is_set():
            raise CancelledError
        for listener in listening:
            listener(fraction, detail)

    def finished(listener: Tell) -> Dataset:
        listening.append(listener)
        return rows.result()

    with ThreadPoolExecutor(1) as beside:
        rows = beside.submit(collect, request, tell)
        try:
            yield finished
        finally:
            left.set()


def collect(request: BuildRequest, tell: Tell) -> Dataset:
    """All rows of the build; kept under ``request.data_key``."""

    store = request.cache / f"{PICTURES}-{request.data_key[:16]}"

    def make() -> Mapping[str, npt.NDArray[Any]]:
        data = request.recipe.data
        request.cache.mkdir(parents=True, exist_ok=True)

        def own(reference: str | None) -> SampleFunction | None:
            return SampleFunction(request.folder, reference, request.recipe.trust_code) if reference else None

        return _packed_rows(
            load_dataset(
                replace(wanted(request.recipe), adapt=own(data.adapt)),
                folder=request.data,
                draw=own(data.draw),
                load=own(data.load),
                on_progress=lambda _stage, fraction, detail: tell(fraction, detail),
                store=store,
            )
        )

    packed = remembered(request.cache, PICTURES, request.data_key, make)
    if not all(values.is_complete() for values in _stored(packed, store)):
        (request.cache / f"{PICTURES}.npz").unlink()
        packed = remembered(request.cache, PICTURES, request.data_key, make)
    for other in set(request.cache.glob(f"{PICTURES}-*")) - {store}:
        other.unlink()
    return _unpacked_rows(packed, store)


def wanted(recipe: Recipe) -> Wanted:
    """What the recipe says of its data, in the words of the data room."""
    owner, data, source = recipe.personalization, recipe.data, recipe.source
    return Wanted(
        by_folds=cross_validates(find_converter(source.converter), source.options()),
        input=recipe.row_input(),
        labels=recipe.labels,
        kinds=data.kinds,
        owners=tuple(Owner(kind, label, owner.support(), owner.held_out) for kind, label in owner.kinds.items())
        if owner
        else (),
        reserved_labels=recipe.every_label()[len(recipe.labels) :],
        test_share=data.test_share,
        validation_share=data.validation_share,
        drawn_kinds=data.drawn_kinds,
        drawn_per_kind=data.drawn_per_kind,
        maximum_per_kind=data.maximum_per_kind,
        seed=recipe.seed,
    )


def _packed_rows(dataset: Dataset) -> Mapping[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "origin": np.array(dataset.origin),
        "unreadable": np.array(json.dumps(dataset.unreadable)),
        "folds": dataset.folds,
        "groups": dataset.groups,
    }
    for part in PARTS:
        examples: Examples = getattr(dataset, part)
        values: Any = examples.values
        if isinstance(values, StoredRows):
            arrays |= {f"{part}_rows": values.rows, "row": np.zeros((0, *values.shape[1:]), values.dtype)}
        else:
            arrays[f"{part}_values"] = values
        arrays[f"{part}_labels"] = examples.labels
        arrays[f"{part}_names"] = np.array(json.dumps(examples.names))
        arrays[f"{part}_kinds"] = np.array(json.dumps(examples.kinds))
    return arrays


def _stored(arrays: Mapping[str, npt.NDArray[Any]], store: Path) -> list[StoredRows]:
    """The rows of each part in the file ``store``, or nothing where they are in ``arrays`` themselves."""
    row = arrays.get("row")
    if row is None:
        return []
    return [StoredRows(store, row.shape[1:], row.dtype, arrays[f"{part}_rows"]) for part in PARTS]


def _unpacked_rows(arrays: Mapping[str, npt.NDArray[Any]], store: Path) -> Dataset:
    stored: Any = _stored(arrays, store) or [arrays[f"{part}_values"] for part in PARTS]
    parts = {
        part: Examples(
            values=values,
            labels=arrays[f"{part}_labels"],
            names=tuple(json.loads(str(arrays[f"{part}_names"]))),
            kinds=tuple(json.loads(str(arrays[f"{part}_kinds"]))),
        )
        for part, values in zip(PARTS, stored, strict=True)
    }
    return Dataset(
        **parts,
        origin=str(arrays["origin"]),
        unreadable=tuple(json.loads(str(arrays["unreadable"]))),
        folds=arrays["folds"],
        groups=arrays["groups"],
    )


TRAINING = "training.pt"  # the state of one that was interrupted


@dataclass(frozen=True)
class Source:
    converted: Converted
    reused: bool  # an earlier run made it
    seconds: float  # that it took to make, whenever that was


def convert_source(request: BuildRequest, dataset: Dataset, on_progress: Progress) -> Source:
    """What the recipe's converter makes of the source; kept under ``request.source_key``."""
    reused = True

    def make() -> Mapping[str, npt.NDArray[Any]]:
        nonlocal reused
        reused = False
        convert = load_converter(find_converter(request.recipe.source.converter))
        packed = _packed(convert(_conversion_request(request, dataset, on_progress)))
        forget_training(request)
        return packed

    packed = remembered(request.cache, "source", request.source_key, make)
    return Source(_unpacked(packed), reused, float(packed[SECONDS]))


def fixed_source(request: FixedRequest, on_progress: Progress) -> ConvertedSource:
    """What the function of a recipe for a model that is not updatable gives."""
    recipe, source = request.recipe, request.recipe.source
    if source.weights is not None and not (request.folder / source.weights).is_file():
        raise SourceError(f"{source.weights}: weights file does not exist; check the path")
    make = load_function(request.folder, source.make, recipe.trust_code)
    asked = SourceRequest(
        source=request.folder,
        inputs=(recipe.input.converted(),),
        labels=recipe.labels,
        weights=str(request.folder / source.weights) if source.weights is not None else "",
        seed=recipe.seed,
        trust_code=recipe.trust_code,
        options=source.options,
        photos=request.data,
        snapshots=recipe.snapshots,
        checkpoint=Checkpoint(request.cache / TRAINING, request.key),
        on_progress=on_progress,
    )
    result = called(f"{source.make}: making the model", make, asked, error=SourceError)
    if not isinstance(result, ConvertedSource):
        raise SourceError(f"{source.make}: returned {a_kind(result)}, expected a ConvertedSource; correct it")
    return result


def forget_training(request: BuildRequest | FixedRequest) -> None:
    """Remove the state of a training that has ended."""
    (request.cache / TRAINING).unlink(missing_ok=True)


def has_source(request: BuildRequest) -> bool:
    """Whether an earlier run made it already."""
    return is_remembered(request.cache, "source", request.source_key)


def _conversion_request(request: BuildRequest, dataset: Dataset, on_progress: Progress) -> ConversionRequest:
    recipe = request.recipe
    return ConversionRequest(
        source=recipe.source.options(),
        folder=request.folder,
        input=recipe.row_input(),
        labels=recipe.labels,
        train=dataset.train,
        validation=dataset.validation,
        test=dataset.test,
        seed=recipe.seed,
        owner=dataset.owner_support,
        held_out=dataset.owner_held_out,
        groups=dataset.groups,
        folds=dataset.folds,
        on_progress=on_progress,
        trust_code=recipe.trust_code,
        checkpoint=Checkpoint(request.cache / TRAINING, request.source_key),
    )


def _packed(converted: Converted) -> Mapping[str, npt.NDArray[Any]]:
    more: dict[str, npt.NDArray[Any]] = {f"{FEATURES}{name}": rows for name, rows in converted.features.items()}
    for index, tail in enumerate(converted.tails):
        more[f"tail {index}"] = np.frombuffer(model_bytes(tail.model), np.uint8)
        more[f"samples {index}"] = np.array([tail.samples_per_kind, tail.neighbors])
    if converted.judged is not None:
        more["judged"] = converted.judged
    if converted.judged_on_half is not None:
        more["judged_on_half"] = converted.judged_on_half
    return {
        **more,
        "model": np.frombuffer(model_bytes(converted.model), np.uint8),
        "test_probabilities": converted.test_probabilities,
        "history": np.array(json.dumps([dict(epoch) for epoch in converted.history])),
        "facts": np.array(json.dumps(dict(converted.facts))),
    }


def _unpacked(arrays: Mapping[str, npt.NDArray[Any]]) -> Converted:
    return Converted(
        model=parse_model(arrays["model"].tobytes(), "the converted model"),
        test_probabilities=arrays["test_probabilities"],
        history=tuple(json.loads(str(arrays["history"]))),
        facts=json.loads(str(arrays["facts"])),
        features={name.removeprefix(FEATURES): rows for name, rows in arrays.items() if name.startswith(FEATURES)},
        tails=tuple(
            HeadOnFeatures(
                parse_model(arrays[f"tail {index}"].tobytes(), "a tail"), *map(int, arrays[f"samples {index}"])
            )
            for index in range(sum(name.startswith("tail ") for name in arrays))
        ),
        judged=arrays.get("judged"),
        judged_on_half=arrays.get("judged_on_half"),
    )
