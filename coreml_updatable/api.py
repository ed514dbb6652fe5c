"""The public functions. Each takes a path, a ``Model`` message or a loaded model, and does the same as its command."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from coreml_updatable.checking import Problem, expect_valid
from coreml_updatable.checking import check as check_message
from coreml_updatable.converting.choosing import Pixels, convert_source
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.layouts import laid_out
from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.converting.neighbors import filled_and_proved
from coreml_updatable.data.inputs import Fit, Input
from coreml_updatable.data.notation import input_from, labels_in
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.data.rows.reading import rows_of, sources, training_rows
from coreml_updatable.errors import DataError, SourceError, located
from coreml_updatable.marking import has_head, knn_variant
from coreml_updatable.marking.layouts.split import with_splits_joined
from coreml_updatable.marking.losses import Loss
from coreml_updatable.marking.outputs import HIDDEN
from coreml_updatable.marking.settings import SGD, Adam, Int64Parameter, KNNSettings, UpdateSettings, usual_sgd
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.diff.models import ModelDifference, difference
from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.messages import Model, expect_message
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.spec.summary import Summary, summarize
from coreml_updatable.typed import typed

if TYPE_CHECKING:
    from coreml_updatable.personalization.population import Population
    from coreml_updatable.personalization.results import Comparison
    from coreml_updatable.personalization.tuning import Tuned
    from coreml_updatable.publishing.vectors.replay import Stage
    from coreml_updatable.updating.assumptions import Assumptions

AnyModel: TypeAlias = str | PathLike[str] | Model | RunnableModel


@typed
def save(model: AnyModel, path: str | PathLike[str]) -> None:
    """Write an .mlmodel file, atomically. The same model always gives the same bytes."""
    write_model(_message(model), Path(path))


@typed
def check(model: AnyModel) -> list[Problem]:
    """Return every broken rule; empty if the model is ready for a device.

    Apple's compiler rejects a model with a problem of severity "error". It accepts one with a "warning", but devices
    or apps may fail. Raises ModelError for a file that is not a Core ML model.
    """
    return check_message(_path_or_message(model))


@typed
def inspect(model: AnyModel) -> Summary:
    """Return what Xcode shows about a model: features, labels, layers, update parameters, metadata."""
    return summarize(_message(model))


@typed
def diff(before: AnyModel, after: AnyModel) -> ModelDifference:
    """Return what changed in meaning; ``same`` is True if nothing did, even if the bytes differ."""
    return difference(_message(before), _message(after))


@typed
def mark(
    model: AnyModel,
    *,
    optimizer: SGD | Adam | None = None,
    epochs: int | Int64Parameter = 10,
    shuffle: bool = True,
    seed: int | None = None,
    layers: Sequence[str] | None = None,
    last: int = 1,
    labels: Sequence[str] | Sequence[int] | None = None,
    label: str | None = None,
    probabilities: str | None = None,
    input: str | None = None,
    reserved: int = 0,
    reserved_share: float = HIDDEN,
    head: Literal["keep", "new"] = "keep",
    loss: Loss | None = None,
) -> RunnableModel:
    """Return an updatable model: tail repaired, layers marked, and predictions verified to be the same.

    Args:
        optimizer: ``SGD(...)`` or ``Adam(...)``; by default SGD, with a mini-batch size of 1 and a learning rate
            of 0.03 if labels are reserved.
        epochs: the default number of epochs, or a default with the range that an app may choose from.
        shuffle: whether an update shuffles the rows between epochs.
        seed: the seed for shuffling and for a new head.
        layers: the names of the layers to train; by default, the ``last`` ones before the loss.
        labels: turn a plain network into a classifier, or rename the labels of one.
        label, probabilities, input: names of the features.
        reserved: the total number of outputs to keep free for labels that the owner adds later.
        reserved_share: the most probability that reserved labels take before they are trained, 0 to 1.
        head: "new" starts the trained layers from new weights.
        loss: by default that of the model's type.

    Raises ModelError for a model that cannot be marked or would break a rule, BuildError if predictions changed.
    """
    source = _message(model)
    kept = 0 if head == "new" and labels else len(reserved_labels(source))
    settings = UpdateSettings(optimizer or usual_sgd(reserved or kept), epochs, shuffle, seed)
    with _located(model):
        marked, _ = marked_and_proved(
            source,
            settings,
            lambda item: expect_valid(item, "marked model"),
            layers=layers,
            last=last,
            labels=labels,
            label=label,
            probabilities=probabilities,
            input=input,
            reserved=reserved,
            reserved_share=reserved_share,
            head=head,
            loss=loss,
        )
    return load(marked.model)


@typed
def knn(
    model: AnyModel,
    samples: Iterable[Mapping[str, Any]] | str | PathLike[str] = (),
    *,
    k: int | Int64Parameter = 3,
    weighting: Literal["inverse-distance", "uniform"] = "inverse-distance",
    index: Literal["linear", "kd-tree"] = "linear",
    leaf_size: int = 30,
    default_label: str | int = "unknown",
    label: str | None = None,
    probabilities: str | None = None,
    cut: bool | None = None,
    fit: Fit | None = None,
) -> RunnableModel:
    """Return a k-nearest-neighbors classifier behind the feature extractor of ``model``.

    Args:
        samples: rows with the extractor's features and the label, under the name of the label output; or a file or
            folder of them, as for ``read_rows``.
        k: the default number of neighbors, or a default with its range (1 to 15 for a single number).
        default_label: the prediction if there are no samples; it has the type of the labels.
        cut: True removes the head, False keeps the network as it is; by default, a head with a softmax is removed.
        fit: how to resize pictures of another size if ``samples`` are files.

    Raises ModelError, DataError for a sample that does not fit, BuildError if the result fails verification.
    """
    source = _message(model)
    cutting = has_head(source) if cut is None else cut
    neighbors = k if isinstance(k, Int64Parameter) else Int64Parameter(k, (1, max(15, k)))
    settings = KNNSettings(neighbors, weighting, index, leaf_size, default_label)
    with _located(model):
        result = knn_variant(source, settings, label=label, probabilities=probabilities, cut=cutting)
    rows: Iterable[tuple[str, Mapping[str, Any]]] | None
    if isinstance(samples, str | PathLike):
        rows = training_rows(Path(samples), result, features_of(result, fit))
    else:
        if fit is not None:
            raise DataError(f"--fit {fit}: has no effect on rows, expected samples to be a path; omit it")
        rows = [(f"row {position}", row) for position, row in enumerate(samples)] or None
    return load(filled_and_proved(source, result, rows, cut=cutting).model)


@typed
def compare(
    models: Sequence[AnyModel] | Mapping[str, AnyModel],
    data: str | PathLike[str],
    *,
    owners: int = 1000,
    shots: Sequence[int] = (0, 1, 2, 3, 5, 10, 20),
    scenario: str | PathLike[str] | Mapping[str, Any] | None = None,
    replay: int = 0,
    replay_by: Literal["herding", "k-center"] = "herding",
    out: str | PathLike[str] | None = None,
    workers: int | None = None,
    resume: bool = False,
    dask: str | None = None,
    fit: Fit | None = None,
    assumptions: "Assumptions | None" = None,
    on_progress: Any = None,
) -> "Comparison":
    """Compare updatable classifiers on a population of simulated owners.

    Args:
        models: a list of models, or a mapping from the names in the result to models. The two files of a split layout
            are one contender.
        data: a folder label/file or label/kind/file, or a .json or .csv file of rows with labels.
        shots: the numbers of shots of each of an owner's kinds, ascending.
        scenario: a TOML file, or its content, that describes the owners (docs/personalization.md).
        replay: also compare each network with this many base rows per label mixed into every update,
            selected according to ``replay_by``.
        out: a folder for report.html, report.json and the finished owners; ``resume`` continues with those.
        workers: the number of processes; by default, one per usable processor.
        dask: the address of a Dask scheduler whose workers run the owners.
        assumptions: the assumptions to load models under; those of a loaded model stay.
        on_progress: called with a stage, the fraction of it that is done, and a detail.

    Raises DataError for a scenario or data that cannot be used, ModelError if no model can be compared.
    """
    from coreml_updatable.personalization.compare import compare as run
    from coreml_updatable.personalization.preparing import Settings

    if resume and out is None:
        raise DataError("compare: resume needs a folder to continue from; pass it as out")
    named = models.items() if isinstance(models, Mapping) else _numbered(models)
    loaded = []
    for name, model in named:
        with _located(model):
            given = _path_or_message(model)
            loaded.append((name, model if isinstance(model, RunnableModel) else load(given, assumptions=assumptions)))
    joined = with_splits_joined(loaded)
    settings = Settings(
        owners=owners,
        shots=tuple(shots),
        replay=replay,
        replay_by=replay_by,
        references=True,
        workers=workers,
        fit=fit,
        heads={item.name: item.head_bytes for item in joined if item.head_bytes is not None},
    )
    kept = Path(out) / "owners" if out is not None else None
    pairs = [(item.name, item.model) for item in joined]
    result, prepared = run(pairs, Path(data), _population(scenario), settings, on_progress, kept, resume, dask)
    if out is not None:
        from coreml_updatable.publishing.report.comparison import write_comparison

        write_comparison(Path(out), result, prepared.small)
    return result


@typed
def tune(
    model: AnyModel,
    data: str | PathLike[str],
    *,
    forgetting: float = 2.0,
    budget: int = 200,
    shots: int = 10,
    owners: int = 128,
    test_owners: int = 500,
    scenario: str | PathLike[str] | Mapping[str, Any] | None = None,
    replay: bool = False,
    fit: Fit | None = None,
    on_progress: Any = None,
) -> "Tuned":
    """Choose a model's update parameters for a population of owners, with Optuna (the extra ``tune``).

    Args:
        data, scenario: as for ``compare``.
        forgetting: the most points of base accuracy that 95% of the owners may lose.
        budget: how many settings to try, each on ``owners`` owners with ``shots`` shots of each kind in one update.
        test_owners: how many other owners, who share no picture with the first, to measure the gain on.
        replay: also try replay sets.
        on_progress: called with the fraction that is done and a detail.

    Returns the model with the chosen values, and the result. Raises DataError for too little data.
    """
    from coreml_updatable.personalization.tuning import Tuned, TuneSettings
    from coreml_updatable.personalization.tuning import tune as run
    from coreml_updatable.tuned import with_tuned_values

    loaded = model if isinstance(model, RunnableModel) else load(_message(model))
    name = Path(model).stem if isinstance(model, str | PathLike) else "the model"
    settings = TuneSettings(forgetting / 100, budget, owners, test_owners, shots, replay, fit=fit)
    result = on_progress or (lambda _fraction, _detail: None)
    chosen = run(loaded, name, Path(data), _population(scenario), settings, result)
    values, head, samples = chosen.result.chosen, chosen.head, chosen.samples
    return Tuned(with_tuned_values(loaded, values, head, samples), chosen.result)


@typed
def replay(vectors: str | PathLike[str], model: AnyModel) -> "tuple[Stage, ...]":
    """Test a model against its golden vectors: predictions before and after one update.

    ``vectors``: NAME.vectors.json, with its pictures beside it. A stage's ``faults`` are the predictions beyond the
    tolerance, one sentence each. Raises DataError for any other file.
    """
    from coreml_updatable.publishing.vectors.document import read_vectors
    from coreml_updatable.publishing.vectors.replay import replay as replay_vectors

    path = Path(vectors)
    return replay_vectors(read_vectors(path), path.parent, _message(model))


@typed
def layout(
    model: AnyModel | Sequence[AnyModel], to: Literal["single", "pipeline", "split"], *, bits: int | None = None
) -> tuple[RunnableModel, ...]:
    """Return the model in another layout: one model, or the extractor and the head of a split.

    ``model``: an updatable model, or the two models of a split. ``bits``: 32, 16 or 8 for the extractor's weights.
    Raises ModelError if that layout is impossible, BuildError if the result predicts or learns differently.
    """
    models = list(model) if isinstance(model, Sequence) and not isinstance(model, str) else [model]
    return tuple(load(message) for message in laid_out([_message(item) for item in models], to, bits).models)


@typed
def convert(
    source: Any,
    *,
    converter: str | None = None,
    inputs: Sequence[Input | str] = (),
    labels: Sequence[str] | str | PathLike[str] = (),
    pixels: Pixels | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    architecture: str = "",
    weights: str | PathLike[str] = "",
    head: Literal["keep", "new"] = "keep",
    cut: str = "",
    answer: str | int = "",
    column: int | None = None,
    seed: int = 0,
    trust_code: bool = False,
) -> RunnableModel:
    """Convert a trained classifier from another framework to an updatable model with the same predictions.

    Args:
        source: a file or folder, the name of an architecture such as ``timm:NAME``, or an object of the framework.
        converter: by default chosen by the file extension, or by the type of an object.
        inputs: ``ImageInput``, ``ArrayInput`` or a string such as "image:224x224", if the source does not say.
        labels: in the order of the source's outputs, or a file with one per line, if the source does not contain them.
        pixels: the range that the source expects, instead of ``mean`` and ``std``; by default its own, or 0..1.
        mean, std: the normalization that the source expects, per channel of pictures in 0..1, or one value for all.
        architecture, weights: the missing part of a source that has only weights, or none.
        head: "new" adds one new layer for ``labels`` after the extractor; ``cut`` names where the extractor ends.
        answer: the name or index of the output with the classes, if there are several outputs.
        column: for a multi-label source, the index of the label that becomes a two-class model.
        trust_code: run code that the source contains (TorchScript, factories, custom objects).

    Raises SourceError, ModelError, RecipeError or BuildError with one sentence.
    """
    if not 0 <= seed < 2**63:
        raise SourceError(
            f"convert: seed is {seed}, expected an integer from 0 that 63 bits hold; choose a smaller one"
        )
    read = labels_in(Path(labels)) if isinstance(labels, str | PathLike) else tuple(labels)
    request = SourceRequest(
        Path(source) if isinstance(source, str | PathLike) else source,
        tuple(input_from(given) if isinstance(given, str) else given for given in inputs),
        read,
        tuple(mean),
        tuple(std),
        seed=seed,
        architecture=architecture,
        weights=str(weights),
        head=head,
        cut=cut,
        trust_code=trust_code,
        answer=str(answer),
        column=column,
    )
    return load(convert_source(request, converter, pixels).finished.model)


@typed
def read_rows(
    model: AnyModel, path: str | PathLike[str], *, training: bool = False, fit: Fit | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows in a file or folder for ``model``: to predict, or with their labels to update.

    Args:
        path: a picture, a .npy, .json or .csv file, or a folder of pictures or .npy files.
        training: read labels, too: a folder then contains one folder per class, named after the label.
        fit: how to resize pictures of another size: "centerCrop", "scaleFit" or "scaleFill", as Vision names them; by
            default, as the model's metadata says, or "centerCrop".

    Raises DataError, with the name of the file and row, for a row that does not fit the model.
    """
    message = _message(model)
    features = features_of(message, fit)
    if training:
        yield from (row for _, row in training_rows(Path(path), message, features))
        return
    for file in sources(Path(path), features):
        yield from (row for _, row in rows_of(file, features))


def _population(scenario: str | PathLike[str] | Mapping[str, Any] | None) -> "Population":
    from coreml_updatable.personalization.population import Population, population_of, read_population

    if isinstance(scenario, Mapping):
        return population_of(dict(scenario))
    return Population() if scenario is None else read_population(Path(scenario))


def _numbered(models: Sequence[AnyModel]) -> list[tuple[str, AnyModel]]:
    """Return models by the names of their files, or "model 1"; repeated names get a number."""
    names: list[str] = []
    for place, model in enumerate(models, start=1):
        name = Path(model).stem if isinstance(model, str | PathLike) else f"model {place}"
        names.append(f"{name} {place}" if name in names else name)
    return list(zip(names, models, strict=True))


def _message(model: AnyModel) -> Model:
    if isinstance(model, RunnableModel):
        return model.message
    if isinstance(model, str | PathLike):
        return read_model(Path(model))
    expect_message(model)
    return model


def _path_or_message(model: AnyModel) -> str | PathLike[str] | Model:
    if not isinstance(model, RunnableModel | str | PathLike):
        expect_message(model)
    return model.message if isinstance(model, RunnableModel) else model


def _located(model: AnyModel) -> Any:
    return located("model", Path(model) if isinstance(model, str | PathLike) else "model")
