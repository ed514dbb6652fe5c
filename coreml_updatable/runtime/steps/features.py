"""Feature steps: compute one feature from others, row by row.

identity: the outputs are the inputs with the same names.

arrayFeatureExtractor: y_i = x[extractIndex_i], where x is in row-major order. A single index gives a number if the
output is a number.

featureVectorizer: concatenates the inputs in one array, in the order of ``inputList``. An input is a number, an array
of ``inputDimensions`` values, or a dictionary from index to value, with 0 elsewhere.

dictVectorizer: y_i = x[key i], or 0 if x does not have the key. The format requires every key of x to be among the
model's. But apps pass texts with any words, and exporters (scikit-learn, Turi Create) intend unknown keys to be
ignored, so they are ignored here. A model that declares a dictionary as its output, as Turi Create's do, returns the
sparse form {i: y_i}.

oneHotEncoder: y_i = 1 if category i is x, otherwise 0; the sparse form is the dictionary {i: 1}. ``handleUnknown`` says
whether an unknown category is refused or gives zeros (an empty dictionary in the sparse form).

categoricalMapping: y = map[x], or the default value if x is not in the map. Without a default value, such an x is
refused.

imputer: y = x, with missing values replaced by the imputed value. The missing value is set by ``replaceDoubleValue``
and its siblings; it defaults to NaN. For an array, the imputed value is an array of the same length or a single value.
In a dictionary, keys of the imputed dictionary that x lacks also count as missing; the format leaves this open.

normalizer: y = x / norm(x), where norm is max |x_i|, sum |x_i|, or the square root of sum x_i^2. A vector of zeros
stays unchanged: the format leaves this open, and exporters (scikit-learn) expect it.

scaler: y = scaleValue (x + shiftValue). Both have one value, or one for each value of the input. The default of
scaleValue is 1, and that of shiftValue 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError, quoted
from coreml_updatable.runtime.steps import RunStep
from coreml_updatable.runtime.steps.interface import CATEGORIES, NUMBERS, each, flat, the_output
from coreml_updatable.spec.messages import Model


def identity(model: Model) -> RunStep:
    inputs = [str(feature.name) for feature in model.description.input]
    outputs = [str(feature.name) for feature in model.description.output]
    # With one of each the names may differ.
    source = dict(zip(outputs, inputs, strict=True)) if len(inputs) == len(outputs) == 1 else {n: n for n in outputs}
    for name in source.values():
        if name not in inputs:
            raise ModelError(
                f"model: the identity has the output '{name}', which is not an input; give outputs the names of inputs"
            )

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{name: row[given] for name, given in source.items()} for row in rows]

    return run


def array_feature_extractor(model: Model) -> RunStep:
    indices = [int(index) for index in model.arrayFeatureExtractor.extractIndex]
    if not indices:
        raise ModelError("model: is an arrayFeatureExtractor without indices; export it again")

    def extracted(value: Any, where: str) -> NDArray[Any]:
        x = np.asarray(value).ravel()
        if max(indices) >= len(x):
            raise ModelError(
                f"{where}: has {len(x)} values, but the model extracts index {max(indices)}; check the model"
            )
        return x[indices]

    return each(model, extracted, ("multiArrayType",))


MAX_VALUES = 2**28


def feature_vectorizer(model: Model) -> RunStep:
    columns = [(str(column.inputColumn), int(column.inputDimensions)) for column in model.featureVectorizer.inputList]
    target = str(the_output(model).name)
    known = {str(feature.name) for feature in model.description.input}
    for name, size in columns:
        if name not in known:
            raise ModelError(f"model: the featureVectorizer reads '{name}', which is not an input; check the names")
        if not 0 < size <= MAX_VALUES:
            raise ModelError(f"model: '{name}' has {size} dimensions, expected 1 to {MAX_VALUES}; export it again")
    if not 0 < sum(size for _, size in columns) <= MAX_VALUES:
        raise ModelError(f"model: a featureVectorizer of no values, or more than {MAX_VALUES}; export it again")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                target: np.concatenate(
                    [_vector(row[name], size, f"row {index}: feature '{name}'") for name, size in columns]
                )
            }
            for index, row in enumerate(rows)
        ]

    return run


def _vector(value: Any, size: int, where: str) -> NDArray[np.float64]:
    if isinstance(value, Mapping):
        vector = np.zeros(size)
        for place, number in value.items():
            if not isinstance(place, int) or not 0 <= place < size:
                raise DataError(f"{where}: has the index {place!r}, expected integers from 0 to {size - 1}")
            vector[place] = number
        return vector
    vector = flat(value)
    if len(vector) != size:
        raise ModelError(f"{where}: has {len(vector)} values, but the model expects {size}; export the model again")
    return vector


def dict_vectorizer(model: Model) -> RunStep:
    kind = model.dictVectorizer.WhichOneof("Map")
    if kind is None:
        raise ModelError("model: is a dictVectorizer without keys; export it again")
    keys = list(getattr(model.dictVectorizer, kind).vector)
    places = {key: place for place, key in enumerate(keys)}

    def sparse(value: Mapping[Any, float], _where: str) -> dict[int, float]:
        return {places[key]: float(number) for key, number in value.items() if key in places}

    def vectorized(value: Mapping[Any, float], _where: str) -> NDArray[np.float64]:
        vector = np.zeros(len(keys))
        for key, number in value.items():
            if key in places:
                vector[places[key]] = number
        return vector

    declared = the_output(model).type.WhichOneof("Type")
    return each(model, sparse if declared == "dictionaryType" else vectorized, ("dictionaryType",))


IGNORE_UNKNOWN = 1


def one_hot_encoder(model: Model) -> RunStep:
    encoder = model.oneHotEncoder
    kind = encoder.WhichOneof("CategoryType")
    if kind is None:
        raise ModelError("model: is a oneHotEncoder without categories; export it again")
    places = {category: place for place, category in enumerate(getattr(encoder, kind).vector)}
    size = len(getattr(encoder, kind).vector)

    def encoded(value: Any, where: str) -> Any:
        place = places.get(value)
        if place is None and encoder.handleUnknown != IGNORE_UNKNOWN:
            raise DataError(f"{where}: is {quoted(value)}, which is not one of the model's categories; use one of them")
        if encoder.outputSparse:
            return {} if place is None else {place: 1.0}
        vector = np.zeros(size)
        if place is not None:
            vector[place] = 1.0
        return vector

    return each(model, encoded, CATEGORIES)


def categorical_mapping(model: Model) -> RunStep:
    mapping = model.categoricalMapping
    kind, otherwise = mapping.WhichOneof("MappingType"), mapping.WhichOneof("ValueOnUnknown")
    if kind is None:
        raise ModelError("model: is a categoricalMapping without a map; export it again")
    known = dict(getattr(mapping, kind).map)
    default = getattr(mapping, otherwise) if otherwise else None

    def mapped(value: Any, where: str) -> Any:
        result = known.get(value, default)
        if result is None:
            raise DataError(f"{where}: is {quoted(value)}, which is not in the model's map; use one of its categories")
        return result

    return each(model, mapped, CATEGORIES)


def imputer(model: Model) -> RunStep:
    kind, replaced = model.imputer.WhichOneof("ImputedValue"), model.imputer.WhichOneof("ReplaceValue")
    if kind is None:
        raise ModelError("model: is an imputer without imputed values; export it again")
    missing = getattr(model.imputer, replaced) if replaced else float("nan")
    value = getattr(model.imputer, kind)
    if kind.endswith("Dictionary"):
        known = dict(value.map)
        return each(model, lambda x, _: _dictionary(x, known, missing), ("dictionaryType",))
    imputed = np.array(value.vector, np.float64) if kind.endswith("Array") else value
    return each(model, lambda x, where: _imputed(x, imputed, missing, where), (*NUMBERS, "stringType"))


def _imputed(x: Any, imputed: Any, missing: Any, where: str) -> Any:
    if not isinstance(x, np.ndarray):
        if isinstance(imputed, np.ndarray):
            raise ModelError(f"{where}: is a single value, but the imputer has an array; export the model again")
        return imputed if _is(x, missing) else x
    if isinstance(imputed, str) or isinstance(missing, str):
        raise ModelError(f"{where}: is an array, but the imputer replaces text; export the model again")
    if isinstance(imputed, np.ndarray) and len(imputed) != x.size:
        raise ModelError(f"{where}: has {x.size} values, but the imputer has {len(imputed)}; export the model again")
    flat = x.astype(np.float64).ravel()
    absent = np.isnan(flat) if missing != missing else flat == missing
    filled: NDArray[np.float64] = np.where(absent, imputed, flat)
    return filled.reshape(x.shape)


def _dictionary(x: Any, known: Mapping[Any, float], missing: Any) -> dict[Any, float]:
    given = {key: number for key, number in x.items() if key not in known or not _is(number, missing)}
    return {**known, **given}


def _is(value: Any, missing: Any) -> bool:
    return bool(value == missing) or bool(value != value and missing != missing)


ORDERS = {0: np.inf, 1: 1, 2: 2}  # Normalizer.NormType -> order of the norm


def normalizer(model: Model) -> RunStep:
    if model.normalizer.normType not in ORDERS:
        raise ModelError(f"model: the normalizer's normType is {model.normalizer.normType}, expected 0, 1 or 2")
    order = ORDERS[model.normalizer.normType]

    def normalized(value: Any, _where: str) -> NDArray[np.float64]:
        x = np.asarray(value, np.float64)
        norm = float(np.linalg.norm(x.ravel(), order)) if x.size else 0.0
        return x / norm if norm else x

    return each(model, normalized, NUMBERS)


def scaler(model: Model) -> RunStep:
    shift, scale = np.array(model.scaler.shiftValue or [0.0]), np.array(model.scaler.scaleValue or [1.0])

    def scaled(value: Any, where: str) -> NDArray[np.float64]:
        x = np.asarray(value, np.float64)
        for name, numbers in (("shiftValue", shift), ("scaleValue", scale)):
            if len(numbers) not in (1, x.size):
                raise ModelError(f"{where}: has {x.size} values, but {name} has {len(numbers)}; export the model again")
        y: NDArray[np.float64] = scale * (x.ravel() + shift)
        return y.reshape(x.shape)

    return each(model, scaled, NUMBERS)
