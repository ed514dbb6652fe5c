"""What owners are like: a TOML file from which any number of them are drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from coreml_updatable.errors import DataError
from coreml_updatable.text import field_meant
from coreml_updatable.toml import read_toml

Change: TypeAlias = Literal["relabel", "new_kind", "new_label", "same"]
CHANGES: tuple[Change, ...] = ("relabel", "new_kind", "new_label", "same")
Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Factor: TypeAlias = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Brings(_Table):
    """One sort of owner. ``weight``: how many there are, against the other sorts; ``kinds``, ``labels``: drawn from."""

    weight: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 1.0
    kinds: tuple[str, ...] = ()  # any that fit, if not given
    labels: tuple[str, ...] = ()


class Style(_Table):
    """The owner's own light, blur, crop and background. Each owner has one of ``count`` styles."""

    count: Annotated[int, Field(ge=1, le=32)] = 4
    brightness: tuple[Factor, Factor] = (0.6, 1.4)
    blur: tuple[Annotated[float, Field(ge=0, le=0.1)], Annotated[float, Field(ge=0, le=0.1)]] = (0.0, 0.02)  # of width
    crop: tuple[Annotated[float, Field(ge=0.2, le=1)], Annotated[float, Field(ge=0.2, le=1)]] = (0.7, 1.0)
    background: Share = 0.0  # of the border of each side that clutter covers, up to half
    learn: Literal["clean", "styled"] = "styled"  # the shots; what is held out always has the style


class Population(_Table):
    """A scenario. ``kinds`` maps the data's folders to labels of the models, where the two are not called the same."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    kinds: Mapping[str, str] = {}
    kinds_per_owner: Annotated[int, Field(ge=1, le=100)] = 1
    held_out: Annotated[int, Field(ge=1, le=10_000)] = 20  # most rows of each of the owner's kinds
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.4  # of each kind's rows: the base test set
    reference_share: Annotated[float, Field(ge=0, lt=1)] = 0.2  # replay sets, class means and retraining
    most_test_rows: Annotated[int, Field(ge=1, le=100_000)] = 1000
    relabel: Brings | None = None
    new_kind: Brings | None = None
    new_label: Brings | None = None
    same: Brings | None = None  # kinds under their own labels: an owner with another style
    style: Style | None = None
    drift: Share = 0.0
    wrong_labels: Share = 0.0
    imbalance: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 1.0  # first kind to last

    @model_validator(mode="after")
    def _consistent(self) -> "Population":
        if self.test_share + self.reference_share >= 1:
            raise ValueError("test_share and reference_share leave no rows to owners, expected a sum below 1")
        if self.sorts and not any(brings.weight for _, brings in self.sorts):
            raise ValueError("no sort of owner has a weight above 0")
        return self

    @property
    def sorts(self) -> list[tuple[Change, Brings]]:
        """The sorts of owners that the scenario names."""
        return [(change, brings) for change in CHANGES if (brings := getattr(self, change)) is not None]


def read_population(path: Path) -> Population:
    """Return the scenario of a TOML file; DataError with the field at fault."""
    return population_of(read_toml(path, DataError)[1], str(path))


def population_of(content: object, where: str = "scenario") -> Population:
    """Return the scenario that ``content``, a TOML file's, describes."""
    try:
        return Population.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = f"{first['msg']}; correct it"
        if first["type"] == "extra_forbidden":
            tables = (Population, Brings, Style)
            names = [field.alias or name for table in tables for name, field in table.model_fields.items()]
            message = f"unknown field; {field_meant(str(first['loc'][-1]), names)}"
        raise DataError(f"{where}: {field or 'scenario'}: {message}") from None
