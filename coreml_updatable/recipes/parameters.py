"""The values an app may choose at run time, as a recipe writes them: a number, or a default with its range or set."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StrictInt, model_validator

from coreml_updatable.spec.parameters import MAX_EPOCHS

SMALLEST, LARGEST = 1.1754944e-38, 3.4028235e38  # of float32, without its subnormal numbers


class _Parameter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DoubleField(_Parameter):
    default: float
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def default_within(self) -> Self:
        _check_range(self.default, self.range)
        return self


class Int64Field(_Parameter):
    default: StrictInt
    range: tuple[StrictInt, StrictInt] | None = None
    allowed: tuple[StrictInt, ...] | None = None

    @model_validator(mode="after")
    def default_within(self) -> Self:
        if self.range is not None and self.allowed is not None:
            raise ValueError("has both range and allowed, expected one of them; the format can store only one")
        _check_range(self.default, self.range)
        if self.allowed is not None and self.default not in self.allowed:
            raise ValueError(
                f"default {self.default} is not in the set {sorted(self.allowed)}; add it or change the default"
            )
        return self

    def lowest(self) -> int:
        values: tuple[int, ...] = (self.default, *(self.range or ()), *(self.allowed or ()))
        return min(values)


def _check_range(default: float, limits: tuple[float, float] | None) -> None:
    if limits is None:
        return
    low, high = limits
    if low > high:
        raise ValueError(f"range [{low}, {high}] is reversed, expected the lower end first")
    if not low <= default <= high:
        raise ValueError(
            f"default {default} is outside its range [{low}, {high}]; widen the range or change the default"
        )


def _from_toml(value: Any) -> Any:
    """``0.01`` says the same as ``{ default = 0.01 }``; arrays become the tuples that strict validation expects."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"default": value}
    if isinstance(value, dict):
        return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return value


def _least_one(parameter: Int64Field) -> Int64Field:
    if parameter.lowest() < 1:
        raise ValueError(f"allows {parameter.lowest()}, expected integers of 1 or more")
    return parameter


def _ends(parameter: DoubleField) -> tuple[float, float]:
    values = (parameter.default, *(parameter.range or ()))
    return min(values), max(values)


def _positive(parameter: DoubleField) -> DoubleField:
    if _ends(parameter)[0] <= 0:
        raise ValueError(f"allows {_ends(parameter)[0]}, expected numbers above 0")
    return parameter


def _in_unit_interval(parameter: DoubleField) -> DoubleField:
    low, high = _ends(parameter)
    if low < 0 or high > 1:
        raise ValueError(f"allows {low if low < 0 else high}, expected numbers from 0 to 1")
    return parameter


def _few(parameter: Int64Field) -> Int64Field:
    if parameter.default > MAX_EPOCHS:
        raise ValueError(
            f"default {parameter.default} is more than {MAX_EPOCHS}, and an update would train for hours; lower it"
        )
    return parameter


def _in_32_bits(parameter: DoubleField) -> DoubleField:
    low, high = _ends(parameter)
    if low < SMALLEST or high > LARGEST:
        wrong = low if low < SMALLEST else high
        raise ValueError(f"allows {wrong}, expected numbers from {SMALLEST:g} to {LARGEST:g}, as 32 bits hold them")
    return parameter


Count = Annotated[Int64Field, BeforeValidator(_from_toml), AfterValidator(_least_one)]
Epochs = Annotated[Int64Field, BeforeValidator(_from_toml), AfterValidator(_least_one), AfterValidator(_few)]
BatchSize = Count
PositiveDouble = Annotated[
    DoubleField, BeforeValidator(_from_toml), AfterValidator(_positive), AfterValidator(_in_32_bits)
]
LearningRate = PositiveDouble
UnitInterval = Annotated[DoubleField, BeforeValidator(_from_toml), AfterValidator(_in_unit_interval)]
