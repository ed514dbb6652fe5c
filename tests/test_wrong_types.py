"""Values of any type, given to every argument of the public API: an answer, or one sentence; never a bare error."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import coreml_updatable as cu
from coreml_updatable.spec.messages import Model
from coreml_updatable.typed import fits
from tests.broken_models.valid import classifier

ROWS = [{"image": np.zeros((3, 8, 8), np.float32)}] * 2
WRONG: list[Any] = [
    object(), {}, {1: 2}, set(), {1, 2}, [], [None], [[]], (), (1,), (1, 2, 3), (2, 1), ("a", "b"), "x", "", b"x", 3.5,
    None, float("nan"), float("inf"), -1, 0, 10**30, np.array([1, 2]), np.array(1), np.float64(2), np.int64(2), True,
    int, len, Path("nothing"), iter([1]), 1j, torch.zeros(2), {"a": 1}, [{"a": 1}], "\ud800",
]  # fmt: skip


def plain() -> Model:
    model = classifier()
    model.isUpdatable = False
    return model


def labelled() -> list[dict[str, Any]]:
    return [{**row, classifier().description.predictedFeatureName: "a"} for row in ROWS]


def linear(inputs: int = 4) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(inputs, 2))


def converted(given: Any, values: int) -> cu.RunnableModel:
    return cu.convert(linear(values), converter="torch", labels=["a", "b"], inputs=[given])


def any_(value: Any) -> Any:
    """What a type checker lets through."""
    return value


def saved(**given: Any) -> None:
    cu.save(**given)


# What a user calls, how it is used, and arguments that work.
CALLS: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "mark": (cu.mark, cu.mark, {"model": plain()}),
    "knn": (cu.knn, cu.knn, {"model": plain(), "samples": labelled()}),
    "layout": (cu.layout, cu.layout, {"model": cu.mark(plain()), "to": "split"}),
    "check": (cu.check, cu.check, {"model": plain()}),
    "inspect": (cu.inspect, cu.inspect, {"model": plain()}),
    "diff": (cu.diff, cu.diff, {"before": plain(), "after": plain()}),
    "load": (cu.load, cu.load, {"model": plain()}),
    "save": (cu.save, saved, {"model": plain(), "path": "x.mlmodel"}),
    "convert": (
        cu.convert,
        cu.convert,
        {"source": linear(), "converter": "torch", "inputs": [cu.ArrayInput("x", (4,))], "labels": ["a", "b"]},
    ),
    "UpdateTask": (
        cu.UpdateTask,
        lambda **given: cu.UpdateTask(**given).resume(),
        {"model": cu.mark(plain()), "rows": labelled(), "parameters": {"epochs": 1}},
    ),
    "resume": (
        cu.UpdateTask.resume,
        lambda **given: cu.UpdateTask(cu.mark(plain()), labelled(), {"epochs": 1}).resume(**given),
        {},
    ),
    "predict": (cu.RunnableModel.predict, lambda **given: cu.load(plain()).predict(**given), {"rows": ROWS}),
    "SGD": (cu.SGD, lambda **given: cu.mark(plain(), optimizer=cu.SGD(**given)), {}),
    "Adam": (cu.Adam, lambda **given: cu.mark(plain(), optimizer=cu.Adam(**given)), {}),
    "Int64Parameter": (
        cu.Int64Parameter,
        lambda **given: cu.mark(plain(), epochs=cu.Int64Parameter(**given)),
        {"default": 3},
    ),
    "DoubleParameter": (
        cu.DoubleParameter,
        lambda **given: cu.mark(plain(), optimizer=cu.SGD(cu.DoubleParameter(**given))),
        {"default": 0.1},
    ),
    "ImageInput": (
        cu.ImageInput,
        lambda **given: converted(cu.ImageInput(**given), 48),
        {"name": "x", "width": 4, "height": 4, "color": "rgb"},
    ),
    "ArrayInput": (cu.ArrayInput, lambda **given: converted(cu.ArrayInput(**given), 4), {"name": "x", "shape": (4,)}),
    "Assumptions": (cu.Assumptions, cu.Assumptions, {}),
}


def arguments() -> Iterator[tuple[str, str]]:
    for name, (function, _, _) in CALLS.items():
        for argument in inspect.signature(function).parameters:
            if argument not in ("self", "intermediate"):  # which is true or false, whatever it is
                yield name, argument


@pytest.mark.parametrize(("name", "argument"), list(arguments()))
def test_an_answer_or_one_sentence(name: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, call, given = CALLS[name]
    refused = 0
    functions = (int, len) if argument == "on_event" else ()  # that are called, and raise what they raise
    for value in (item for item in WRONG if not any(item is function for function in functions)):
        wrong = iter([1]) if hasattr(value, "__next__") else value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                call(**{**given, argument: wrong})
            except cu.UserError:
                refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        (lambda: cu.Int64Parameter(8, range=any_({1, 64})), ("Int64Parameter", "range", "set", "pair")),
        (
            lambda: cu.Int64Parameter(8, allowed=any_({1, 8})),
            ("Int64Parameter", "allowed", "{8, 1}", "list of integers"),
        ),
        (lambda: cu.DoubleParameter(0.1, any_((0.0, "1"))), ("DoubleParameter", "range", "'1'", "pair")),
        (lambda: cu.SGD(any_("fast")), ("SGD", "learning_rate", "'fast'", "a number or a DoubleParameter")),
        (lambda: cu.mark(plain(), head=any_("fresh")), ("mark", "head", "'fresh'", "'keep' or 'new'")),
        (lambda: cu.mark(plain(), labels="ab"), ("mark", "labels", "'ab'", "list")),
        (lambda: cu.load(3), ("model", "int", "path")),
    ],
)
def test_the_sentence_says_what_was_given_and_what_is_expected(call: Callable[[], Any], facts: tuple[str, ...]) -> None:
    with pytest.raises(cu.UserError) as raised:
        call()
    for fact in facts:
        assert fact in str(raised.value)


def test_what_fits() -> None:
    """NumPy's numbers are numbers; True is not an integer, and text is not a list of texts."""
    good: list[tuple[Any, Any]] = [
        (3, int), (np.int64(3), int), (3, float), (np.float32(3), float), (np.bool_(True), bool), (None, int | None),
        ([1, 2], tuple[int, int]), (np.array([0.5, 0.2]), Sequence[float]), ("a", Literal["a", "b"]),
        (len, Callable[..., Any]), ({"a": 1}, dict), (Path(), str | Path),
    ]  # fmt: skip
    wrong: list[tuple[Any, Any]] = [
        (True, int), (3.0, int), ("3", float), (1, bool), ([1, 2, 3], tuple[int, int]), ([1, "2"], tuple[int, ...]),
        (None, int), ("c", Literal["a", "b"]), (3, Callable[..., Any]), (Path(), str),
        (torch.zeros(2), tuple[float, ...]),
    ]  # fmt: skip
    assert [case for case in good if not fits(*case)] == []
    assert [case for case in wrong if fits(*case)] == []
