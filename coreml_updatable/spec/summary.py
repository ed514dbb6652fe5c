"""Everything worth saying of a model, as plain values: what ``inspect`` shows and a program reads as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from coreml_updatable.spec.availability import availability, newer_contents
from coreml_updatable.spec.features import describe_type
from coreml_updatable.spec.graph import layer_kind, loss_blobs
from coreml_updatable.spec.head_memory import HeadMemory, head_memory
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import FeatureDescription, Model, NeuralNetworkLayer
from coreml_updatable.spec.network import class_labels, is_network, is_pipeline, last_member, network_of, pipeline_of
from coreml_updatable.spec.parameters import Parameter, network_parameters, parameter
from coreml_updatable.spec.samples import nearest_neighbors_of, sample_counts
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.spec.storage import storage, weight_count, weight_fields
from coreml_updatable.text import finite

_SHOWN = 20  # numbers of a list


def kind_facts(model: Model) -> tuple[tuple[str, str], ...]:
    """Name and words of each fact; empty for other kinds of models."""
    match model.WhichOneof("Type"):
        case "supportVectorClassifier":
            return tuple(_classifier(model))
        case "supportVectorRegressor":
            return tuple(_machine(model.supportVectorRegressor))
        case "nonMaximumSuppression":
            return tuple(_suppression(model))
    return ()


def _classifier(model: Model) -> Iterator[tuple[str, str]]:
    machine = model.supportVectorClassifier
    yield from _machine(machine)
    counts = [str(count) for count in machine.numberOfSupportVectorsPerClass]
    yield "Of each class", ", ".join(counts[:_SHOWN]) + (", …" if len(counts) > _SHOWN else "")
    yield "Probabilities", "yes" if machine.probA and machine.probB else "no, the label alone"


def _machine(machine: Any) -> Iterator[tuple[str, str]]:
    kernel = machine.kernel
    match kernel.WhichOneof("kernel"):
        case "linearKernel":
            yield "Kernel", "linear"
        case "rbfKernel":
            yield "Kernel", f"radial basis function, gamma {kernel.rbfKernel.gamma:g}"
        case "polyKernel":
            poly = kernel.polyKernel
            yield "Kernel", f"polynomial of degree {poly.degree}, gamma {poly.gamma:g}, c {poly.c:g}"
        case "sigmoidKernel":
            yield "Kernel", f"sigmoid, gamma {kernel.sigmoidKernel.gamma:g}, c {kernel.sigmoidKernel.c:g}"
    kind = machine.WhichOneof("supportVectors")
    if kind:
        yield "Support vectors", f"{len(getattr(machine, kind).vectors)}, {kind.removesuffix('SupportVectors')}"


def _suppression(model: Model) -> Iterator[tuple[str, str]]:
    nms = model.nonMaximumSuppression
    yield "Suppression", "among boxes of the same class" if nms.pickTop.perClass else "among boxes of all classes"
    for what, value, name in (
        ("Overlap above", nms.iouThreshold, nms.iouThresholdInputFeatureName),
        ("Confidence below", nms.confidenceThreshold, nms.confidenceThresholdInputFeatureName),
    ):
        yield what, f"{value:g}" + (f", or the input '{name}'" if name else "")
    if not class_labels(model):
        yield "Labels", "none in the model"


KINDS = {
    "neuralNetwork": "Neural Network",
    "neuralNetworkClassifier": "Neural Network Classifier",
    "neuralNetworkRegressor": "Neural Network Regressor",
    "kNearestNeighborsClassifier": "Nearest Neighbors Classifier",
    "pipeline": "Pipeline",
    "pipelineClassifier": "Pipeline Classifier",
    "pipelineRegressor": "Pipeline Regressor",
    "mlProgram": "ML Program",
    "glmClassifier": "Linear Classifier",
    "glmRegressor": "Linear Regressor",
    "nonMaximumSuppression": "Non-Maximum Suppression",
    "supportVectorClassifier": "Support Vector Classifier",
    "supportVectorRegressor": "Support Vector Regressor",
    "treeEnsembleClassifier": "Tree Ensemble Classifier",
    "treeEnsembleRegressor": "Tree Ensemble Regressor",
}


@dataclass(frozen=True)
class Feature:
    name: str
    type: str  # in words, e.g. "Image (RGB 128 × 128)"
    description: str


@dataclass(frozen=True)
class Layer:
    name: str
    kind: str
    shape: tuple[int | None, ...] | None  # of its output; None where it is not known
    parameters: int
    updatable: bool


@dataclass(frozen=True)
class UpdateSummary:
    """Xcode's Update tab, of a network or of the k-NN at the end of a pipeline."""

    layers: tuple[str, ...]
    loss: str
    optimizer: str
    parameters: tuple[Parameter, ...]
    memory: HeadMemory | None  # of a network's head; a k-NN keeps its samples, whatever it learns


@dataclass(frozen=True)
class Network:
    layers: tuple[Layer, ...]
    parameters: int
    updatable_parameters: int
    head_bytes: int  # of the updatable layers' weights
    weights: tuple[str, ...]  # how weights are stored: float32, float16, raw (quantized)

    @property
    def updatable_share(self) -> float:
        return self.updatable_parameters / self.parameters if self.parameters else 0.0


@dataclass(frozen=True)
class NearestNeighbors:
    dimensions: int
    samples: int
    samples_per_label: tuple[tuple[str | int, int], ...]
    neighbors: Parameter
    weighting: str
    index: str
    default_label: str | int | None


@dataclass(frozen=True)
class Summary:
    kind: str
    bytes: int
    specification_version: int
    availability: str
    updatable: bool
    newer_contents: tuple[tuple[str, int], ...]  # what in it needs a newer version, and which
    description: str
    author: str
    license: str
    version: str
    user_defined: tuple[tuple[str, str], ...]
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    training_inputs: tuple[Feature, ...]
    labels: tuple[str | int, ...]
    network: Network | None
    nearest_neighbors: NearestNeighbors | None
    facts: tuple[tuple[str, str], ...]  # of a support vector machine or a non-maximum suppression
    update: UpdateSummary | None
    members: tuple[tuple[str, "Summary"], ...]  # name and summary of each model of a pipeline

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers; None for a number that JSON does not have."""
        plain: dict[str, Any] = finite(asdict(self))
        return plain


Members: TypeAlias = tuple[tuple[str, Summary], ...]


def summarize(model: Model) -> Summary:
    """A summary of any model; of kinds that cannot be updated the description alone."""
    description, metadata = model.description, model.description.metadata
    kind = str(model.WhichOneof("Type") or "")
    network = _network(model) if is_network(model) else None
    neighbors = _nearest_neighbors(model) if kind == "kNearestNeighborsClassifier" else None
    members = _members(model) if is_pipeline(model) else ()
    version = int(model.specificationVersion)
    return Summary(
        kind=KINDS.get(kind, kind),
        bytes=int(model.ByteSize()),
        specification_version=version,
        availability=availability(model),
        updatable=bool(model.isUpdatable),
        newer_contents=tuple(newer_contents(model)),
        description=str(metadata.shortDescription),
        author=str(metadata.author),
        license=str(metadata.license),
        version=str(metadata.versionString),
        user_defined=tuple(sorted((str(key), str(text)) for key, text in metadata.userDefined.items())),
        inputs=described(description.input),
        outputs=described(description.output),
        training_inputs=described(description.trainingInput),
        labels=tuple(class_labels(model)),
        network=network,
        nearest_neighbors=neighbors,
        facts=kind_facts(model),
        update=_update(model, neighbors, members),
        members=members,
    )


def one_line(model: Model) -> str:
    """Return kind, features, labels and what is updatable, as a ``repr`` shows them."""
    kind = str(model.WhichOneof("Type") or "")
    given, answered = (
        ", ".join(str(feature.name) for feature in side) or "nothing"
        for side in (model.description.input, model.description.output)
    )
    labels = class_labels(last_member(model))
    counted = f"; {len(labels)} labels" if labels else ""
    updatable = "updatable" if model.isUpdatable else "not updatable"
    return f"{KINDS.get(kind, kind)}: {given} -> {answered}{counted}; {updatable}"


def described(features: Sequence[FeatureDescription]) -> tuple[Feature, ...]:
    """Return name, type in words and description of each feature."""
    return tuple(Feature(str(f.name), describe_type(f), str(f.shortDescription)) for f in features)


def _members(model: Model) -> Members:
    pipeline = pipeline_of(model)
    names = [str(name) for name in pipeline.names] + [""] * len(pipeline.models)
    return tuple((names[index], summarize(member)) for index, member in enumerate(pipeline.models))


def _network(model: Model) -> Network:
    shapes = blob_shapes(model)
    layers = tuple(_layer(layer, shapes, bool(model.isUpdatable)) for layer in network_of(model).layers)
    stored = {storage(weights) for layer in network_of(model).layers for _, weights in weight_fields(layer)} - {"empty"}
    trained = sum(layer.parameters for layer in layers if layer.updatable)
    return Network(layers, sum(layer.parameters for layer in layers), trained, 4 * trained, tuple(sorted(stored)))


def _layer(layer: NeuralNetworkLayer, shapes: dict[str, Shape], updatable: bool) -> Layer:
    count = sum(weight_count(weights) for _, weights in weight_fields(layer))
    shape = shapes.get(str(layer.output[0])) if layer.output else None
    return Layer(str(layer.name), layer_kind(layer), shape, count, updatable and bool(layer.isUpdatable))


def _update(model: Model, neighbors: NearestNeighbors | None, members: Members) -> UpdateSummary | None:
    if not model.isUpdatable:
        return None
    if is_network(model):
        network = network_of(model)
        layers = tuple(str(layer.name) for layer in network.layers if layer.isUpdatable)
        optimizer = network.updateParams.optimizer.WhichOneof("OptimizerType")
        words = {"sgdOptimizer": "Stochastic Gradient Descent", "adamOptimizer": "Adam", None: ""}
        return UpdateSummary(layers, _loss(model), words[optimizer], network_parameters(network), head_memory(model))
    if neighbors is not None:
        return UpdateSummary((), "", "", (neighbors.neighbors,), None)
    return members[-1][1].update if members else None


def _loss(model: Model) -> str:
    network = network_of(model)
    blobs = loss_blobs(network)
    if blobs is None:
        return ""
    kind = network.updateParams.lossLayers[0].WhichOneof("LossLayerType")
    words = "Categorical Cross Entropy" if kind == "categoricalCrossEntropyLossLayer" else "Mean Squared Error"
    return f"{words} of {blobs[0]} against {blobs[1]}"


def _nearest_neighbors(model: Model) -> NearestNeighbors:
    classifier = nearest_neighbors_of(model)
    index = classifier.nearestNeighborsIndex
    weighting = {"uniformWeighting": "uniform", "inverseDistanceWeighting": "inverse distance", None: ""}
    tree = f"kd-tree, leaf size {index.singleKdTreeIndex.leafSize}"
    kinds = {"linearIndex": "linear", "singleKdTreeIndex": tree, None: ""}
    default = classifier.WhichOneof("DefaultClassLabel")
    return NearestNeighbors(
        int(index.numberOfDimensions),
        len(index.floatSamples),
        tuple(sample_counts(model).items()),
        parameter("numberOfNeighbors", classifier.numberOfNeighbors),
        weighting[classifier.WhichOneof("WeightingScheme")],
        kinds[index.WhichOneof("IndexType")],
        getattr(classifier, default) if default else None,
    )
