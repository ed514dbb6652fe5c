"""imputer: y = x, with the imputed value where x is the missing value. ``Imputer``.

The missing value is ``replaceDoubleValue`` and so on; where none is set, NaN. An array takes its imputed value by place
from an imputed array, or everywhere the single one. In a dictionary a key of the imputed dictionary that x does not
have is missing too; the format leaves this open.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import NUMBERS, each
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    kind, replaced = model.imputer.WhichOneof("ImputedValue"), model.imputer.WhichOneof("ReplaceValue")
    if kind is None:
        raise ModelError("model: an imputer without imputed values; export the model again")
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
            raise ModelError(f"{where}: is a single value, the imputer has an array of them; export the model again")
        return imputed if _is(x, missing) else x
    if isinstance(imputed, str) or isinstance(missing, str):
        raise ModelError(f"{where}: is an array, the imputer replaces text; export the model again")
    if isinstance(imputed, np.ndarray) and len(imputed) != x.size:
        raise ModelError(f"{where}: has {x.size} values, the imputer has {len(imputed)}; export the model again")
    flat = x.astype(np.float64).ravel()
    absent = np.isnan(flat) if missing != missing else flat == missing
    filled: NDArray[np.float64] = np.where(absent, imputed, flat)
    return filled.reshape(x.shape)


def _dictionary(x: Any, known: Mapping[Any, float], missing: Any) -> dict[Any, float]:
    given = {key: number for key, number in x.items() if key not in known or not _is(number, missing)}
    return {**known, **given}


def _is(value: Any, missing: Any) -> bool:
    return bool(value == missing) or bool(value != value and missing != missing)
