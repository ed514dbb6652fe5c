"""The fields of a recipe's [source] that belong to the turicreate converter."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coreml_updatable.errors import SourceError


class TuriSource(BaseModel):
    """What Turi Create is to train; what is None is as Turi Create has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    train: Literal["drawing_classifier", "image_classifier", "logistic_classifier"]
    network: Literal["squeezenet_v1.1", "resnet-50"] = "squeezenet_v1.1"  # of an image classifier
    iterations: int = Field(default=100, ge=1, le=100_000)
    batch_size: int | None = Field(default=None, ge=1, le=4096)
    warm_start: bool = False  # a drawing classifier starts from a pretrained network
    l2_penalty: float | None = Field(default=None, ge=0)  # of a logistic classifier
    seconds: float = Field(default=3600, gt=0)  # after which the training is given up


def read_source(fields: Mapping[str, Any]) -> TuriSource:
    """The validated fields; a SourceError names the first wrong one and the nearest right name."""
    try:
        return TuriSource.model_validate(dict(fields), strict=True)
    except ValidationError as error:
        raise SourceError(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    place = ".".join(["source", *(str(part) for part in problem["loc"])])
    match problem["type"]:
        case "extra_forbidden":
            known = list(TuriSource.model_fields)
            near = get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]!r}?" if near else f"the fields here are: {', '.join(sorted(known))}"
            return f"{place} is no field of the turicreate converter; {advice}"
        case "missing":
            return (
                f'{place} is missing, expected "drawing_classifier", "image_classifier" or "logistic_classifier"; add '
                "it (a model that is saved already is for: coreml-updatable convert)"
            )
        case "literal_error":
            return f"{place} is {problem['input']!r}, expected {problem['ctx']['expected']}; correct it"
    return f"{place} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}; correct it"
