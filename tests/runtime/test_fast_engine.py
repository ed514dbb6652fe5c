"""ONNX Runtime gives what torch gives, operation by operation; where it does not, or cannot, torch runs and says so."""

import hashlib
import os
import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable import bounds
from coreml_updatable.runtime import load, reference
from coreml_updatable.runtime.engine import batched, engine_cache, fast
from coreml_updatable.runtime.engine.batched import TORCH, Batched
from coreml_updatable.runtime.engine.onnx_graph import to_onnx
from coreml_updatable.runtime.engine.program import Program, Step
from coreml_updatable.runtime.engine.tracing import traced
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetwork_pb2

pytestmark = pytest.mark.skipif(not fast.installed(), reason="the extra 'fast' is not installed")
MANY = 10**9  # rows to come


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "coreml_updatable" / "engines"


def runner(function: Callable[..., Any], content: bytes | None = None) -> Batched:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="one", input=["x"], output=["y"])
    module: nn.Module = Function(function)
    steps = [Step(layer, module, frozenset("x"), frozenset("y"))]
    return Batched(Program(steps, ["y"]), optimize=True, content=None if content is None else lambda: content)


def twice(run: Batched, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The plain run, and the one of an engine prepared for what is to come."""
    with torch.no_grad():
        plain, other = run({"x": rows}, len(rows)), run({"x": rows}, len(rows), MANY)
    assert isinstance(plain, dict)
    assert isinstance(other, dict)
    return plain["y"], other["y"]


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "acos": lambda x: torch.acos(x / 9),
    "asin": lambda x: torch.asin(x / 9),
    "atan": torch.atan,
    "acosh": lambda x: torch.acosh(x.abs() + 1),
    "asinh": torch.asinh,
    "atanh": lambda x: torch.atanh(x / 9),
    "ceil": torch.ceil,
    "floor": torch.floor,
    "round": torch.round,
    "sign": torch.sign,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "sin": torch.sin,
    "sinh": torch.sinh,
    "tan": lambda x: torch.tan(x / 9),
    "tanh": torch.tanh,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "log": lambda x: torch.log(x.abs() + 0.1),
    "sqrt": lambda x: torch.sqrt(x.abs()),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 0.1),
    "square": torch.square,
    "reciprocal": lambda x: torch.reciprocal(x.abs() + 1),
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "gelu": functional.gelu,
    "gelu tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "elu": functional.elu,
    "silu": functional.silu,
    "leaky": lambda x: functional.leaky_relu(x, 0.2),
    "softplus": functional.softplus,
    "hardtanh": lambda x: functional.hardtanh(x, -0.5, 2.0),
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp low": lambda x: x.clamp(min=0.5),
    "clamp high": lambda x: x.clamp(max=0.5),
    "softsign": functional.softsign,
    "threshold": lambda x: functional.threshold(x, 0.5, 0.1),
    "hardsigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "alpha": lambda x: torch.add(x, x.abs(), alpha=3),
    "rsub": lambda x: 2 - x,
    "div": lambda x: x / (x.abs() + 1),
    "floor div": lambda x: torch.div(x, 0.7, rounding_mode="floor"),
    "pow": lambda x: x.abs() ** 1.5,
    "trunc div": lambda x: torch.div(x, 0.7, rounding_mode="trunc"),
    "remainder": lambda x: torch.remainder(x, -0.7),
    "fmod": lambda x: torch.fmod(x, 0.7),
    "maximum": lambda x: torch.maximum(x, -x),
    "eq": lambda x: (x == x.round()).float(),
    "minimum": lambda x: torch.minimum(x, x * x),
    "ne": lambda x: (x != 0).float(),
    "lt": lambda x: (x < 0.1).float(),
    "ge": lambda x: (x >= x.flip(-1)).float(),
    "bool": lambda x: ((x > 0) == (x > 1)).float(),
    "and": lambda x: torch.logical_and(x > 0, x < 1).float(),
    "xor": lambda x: ((x > 0) ^ (x > 1)).float(),
    "not": lambda x: torch.logical_not(x > 0).float(),
    "where": lambda x: torch.where(x > 0, x, 2.0),
    "masked": lambda x: x.masked_fill(x > 0, 7.0),
    "view": lambda x: x.reshape(2, -1),
    "permute": lambda x: x.permute(2, 0, 1),
    "transpose": lambda x: x.transpose(0, 2),
    "expand": lambda x: x[:, :1].expand(-1, 5, -1),
    "squeeze": lambda x: x[None, :].squeeze(0),
    "slice": lambda x: x[:, 1:4:2],
    "select": lambda x: x[:, -1],
    "split": lambda x: x.split(2, 1)[1],
    "flip": lambda x: x.flip(0, 1),
    "flip of no axis": lambda x: x.flip(()),
    "unbind": lambda x: x.unbind(0)[1],
    "cat": lambda x: torch.cat([x, x * 2], -1),
    "stack": lambda x: torch.stack([x, -x], 1),
    "repeat": lambda x: x.repeat(1, 2, 3),
    "tril": torch.tril,
    "triu": lambda x: torch.triu(x, 1),
    "pad": lambda x: functional.pad(x, (1, 2, 0, 1), value=3.0),
    "cut": lambda x: functional.pad(x, (-1, 0)),
    "reflect": lambda x: functional.pad(x, (1, 2), mode="reflect"),
    "edge": lambda x: functional.pad(x, (2, 1), mode="replicate"),
    "sum": lambda x: x.sum(1),
    "sum all": lambda x: x.sum(),
    "mean": lambda x: x.mean((0, 2), keepdim=True),
    "prod": lambda x: x.prod(1),
    "amax": lambda x: x.amax((1, 2)),
    "amin": lambda x: x.amin(0),
    "logsumexp": lambda x: x.logsumexp(2),
    "norm": lambda x: torch.linalg.vector_norm(x, 2, 1),
    "norm 1": lambda x: torch.linalg.vector_norm(x, 1, 1),
    "argmax": lambda x: x.argmax(1).float(),
    "argmin": lambda x: x.argmin(2, keepdim=True).float(),
    "any": lambda x: (x > 2).any(1).float(),
    "all": lambda x: (x > -2).all(1).float(),
    "cumsum": lambda x: x.cumsum(1),
    "max": lambda x: x.max(1).values,
    "min": lambda x: x.min(1).indices.float(),
    "topk": lambda x: x.topk(2, 1).values,
    "sort": lambda x: x.sort(1, descending=True).values,
    "argsort": lambda x: x.argsort(2).float(),
    "matmul": lambda x: x @ x.transpose(1, 2),
    "vector": lambda x: x @ torch.arange(6.0),
    "linear": lambda x: functional.linear(x, torch.arange(18.0).reshape(3, 6), torch.arange(3.0)),
    "softmax": lambda x: x.softmax(1),
    "log softmax": lambda x: x.log_softmax(-1),
    "layer norm": lambda x: functional.layer_norm(x, (6,), torch.arange(6.0), torch.ones(6)),
    "batch norm": lambda x: functional.batch_norm(
        x[None], torch.zeros(4), torch.ones(4) * 2, torch.arange(4.0), torch.ones(4)
    )[0],
    "avg pool": lambda x: functional.avg_pool2d(x[None], 2, 1, 1),
    "uneven pool": lambda x: functional.avg_pool2d(x[None], 2, 2, 1, count_include_pad=False),
    "max pool": lambda x: functional.max_pool2d(x[None], 3, 2, 1),
    "deconvolution": lambda x: functional.conv_transpose2d(x[None], torch.ones(4, 2, 3, 2), stride=2, padding=1),
    "dilated": lambda x: functional.conv2d(x[None], torch.ones(4, 1, 2, 2), dilation=2, groups=4),
    "bordered": lambda x: functional.conv2d(functional.pad(x[None], (0, 1, 2, 0)), torch.ones(3, 4, 3, 3), stride=2),
    "volume": lambda x: functional.conv3d(x[None, None], torch.ones(2, 1, 2, 2, 2)),
    "nearest": lambda x: functional.interpolate(x[None], scale_factor=2),
    "bilinear": lambda x: functional.interpolate(x[None], (9, 11), mode="bilinear"),
    "aligned": lambda x: functional.interpolate(x[None], (9, 11), mode="bilinear", align_corners=True),
    "index": lambda x: x[:, torch.tensor([2, 0, -1])],
    "pairs": lambda x: x[:, torch.tensor([0, 1]), torch.tensor([3, 2])],
    "index select": lambda x: x.index_select(2, torch.tensor([1, 1, 0])),
    "gather": lambda x: x.gather(1, (x > 0).long()),
    "chosen": lambda x: x[0, x[0].argmax(0)],
    "embedding": lambda x: functional.embedding((x > 0).long(), torch.arange(8.0).reshape(2, 4)),
    "scatter": lambda x: x.scatter(1, torch.zeros_like(x).long()[:, :1], x[:, :1] * 2),
    "ones": lambda x: torch.ones_like(x) + x,
    "scatter add": lambda x: x.scatter_add(1, torch.zeros_like(x).long(), x),
    "put": lambda x: x.index_put((torch.tensor([1, 0]),), x[:2] * 3),
    "arange": lambda x: x + torch.arange(6.0),
    "full": lambda x: x + torch.full((6,), 2.0),
    "round trip": lambda x: x.long().float(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_operation_gives_what_torch_gives(name: str) -> None:
    rows = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(len(name))) * 2
    run = runner(FUNCTIONS[name])
    plain, other = twice(run, rows)
    assert (run.engine, run.reason) == (fast.installed(), "")
    torch.testing.assert_close(other, plain, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(names=st.lists(st.sampled_from(sorted(FUNCTIONS)), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_operations_in_a_row_give_what_torch_gives(names: list[str], seed: int) -> None:
    """Where torch itself takes the row; discontinuous steps get rounded numbers, so that they fall on the same side."""

    def several(x: Tensor) -> Tensor:
        for name in names:
            result = FUNCTIONS[name](x)
            x = functional.pad(result.reshape(-1), (0, max(0, 120 - result.numel())))[:120].reshape(4, 5, 6)
            x = (x.tanh() * 32).round() / 16
        return x

    rows = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(seed))
    run = runner(several)
    plain, other = twice(run, rows)
    apart = (plain - other).abs() > 1e-3
    assert run.reason == ""
    assert apart.double().mean() < 0.02  # a rounding may fall to the other side


def test_rows_that_a_layer_looks_at_stay_with_torch() -> None:
    run = runner(lambda x: x[: int(x.sum().item()) % 3 + 1])
    with torch.no_grad():
        rows = torch.arange(12.0).reshape(3, 4)
        for coming in (0, MANY):
            assert isinstance(run({"x": rows}, 3, coming), list)
    assert run.engine == TORCH


def test_an_operation_without_a_rule_runs_on_torch_and_the_reason_names_it() -> None:
    run = runner(lambda x: torch.special.i0(x))
    plain, other = twice(run, torch.rand(2, 3))
    assert run.engine == TORCH
    assert "the operation i0" in run.reason
    torch.testing.assert_close(other, plain)


def test_a_disagreement_is_a_warning_that_names_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that is wrong on purpose; the layer before it is right."""
    from coreml_updatable.runtime.engine import operators

    monkeypatch.setitem(operators.RULES, "tanh", lambda *given: given[0].emit("Sigmoid", given[2][0]))
    layers = []
    for name, function, source, target in (("right", torch.exp, "x", "a"), ("wrong", torch.tanh, "a", "y")):
        layer = NeuralNetwork_pb2.NeuralNetworkLayer(name=name, input=[source], output=[target])
        layers.append(Step(layer, Function(function), frozenset([source]), frozenset([target])))
    run = Batched(Program(layers, ["y"]), optimize=True)
    rows = torch.rand(4, 3)
    with pytest.warns(fast.EngineWarning, match="layer 'wrong'"):
        plain, other = twice(run, rows)
    assert run.engine == TORCH
    torch.testing.assert_close(other, plain)


def test_the_reference_is_torch_alone() -> None:
    run = runner(torch.tanh)
    with reference():
        twice(run, torch.rand(4, 3))
    assert run.engine == TORCH
    twice(run, torch.rand(4, 3))
    assert run.engine == fast.installed()


def test_without_the_library_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "installed", lambda: "")
    run = runner(torch.tanh)
    plain, other = twice(run, torch.rand(4, 3))
    assert run.engine == TORCH
    torch.testing.assert_close(other, plain)


def test_what_needs_more_memory_than_a_run_may_hold_runs_on_torch() -> None:
    weights = torch.rand(2**10, 2**10)
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="one", input=["x"], output=["y"])
    module: Any = Function(lambda x: x @ weights)
    module.weights = nn.Parameter(weights)
    run = Batched(Program([Step(layer, module, frozenset("x"), frozenset("y"))], ["y"]), optimize=True)
    with bounds.max_memory(8 * 2**20):
        twice(run, torch.rand(4, 2**10))
    assert run.engine == TORCH
    assert "memory" in run.reason


def test_an_engine_is_kept_privately_and_used_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.rand(4, 3)
    twice(runner(torch.tanh, b"tanh"), rows)
    (path,) = cache.iterdir()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    monkeypatch.setattr(fast, "to_onnx", lambda _graph: pytest.fail("was written again"))
    run = runner(torch.tanh, b"tanh")
    plain, other = twice(run, rows)
    assert run.engine == fast.installed()
    torch.testing.assert_close(other, plain)
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_a_damaged_engine_is_made_again(cache: Path, damage: str) -> None:
    rows = torch.rand(4, 3)
    twice(runner(torch.tanh, b"tanh"), rows)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    foreign = b"not an engine at all"
    digest = hashlib.blake2b(foreign, digest_size=engine_cache.DIGEST).digest()
    path.write_bytes(
        {"cut": whole[:-9], "flipped": whole[:-1] + bytes([whole[-1] ^ 1]), "foreign": digest + foreign, "empty": b""}[
            damage
        ]
    )
    run = runner(torch.tanh, b"tanh")
    plain, other = twice(run, rows)
    assert run.engine == fast.installed()
    torch.testing.assert_close(other, plain)
    assert engine_cache.read(path.stem) is not None


def test_an_engine_of_another_network_under_the_same_name_is_not_trusted(cache: Path) -> None:
    rows = torch.rand(4, 3)
    twice(runner(torch.tanh, b"one"), rows)
    (path,) = cache.iterdir()
    other = runner(torch.sigmoid, b"other")
    key = other._key(["x"], [rows])
    (cache / f"{key}{engine_cache.SUFFIX}").write_bytes(path.read_bytes())
    plain, result = twice(other, rows)
    torch.testing.assert_close(result, plain)
    assert other.engine == fast.installed()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a system without owners of files")
@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_folder_that_others_can_reach_is_not_used(cache: Path, mode: int) -> None:
    cache.mkdir(parents=True)
    cache.chmod(mode)
    run = runner(torch.tanh, b"tanh")
    twice(run, torch.rand(4, 3))
    assert run.engine == fast.installed()
    assert list(cache.iterdir()) == []


def test_the_least_recently_used_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "MAX_BYTES", 1000)
    for index in range(4):
        engine_cache.write(f"{index}", bytes(200))
        os.utime(cache / f"{index}{engine_cache.SUFFIX}", (index, index))
    assert engine_cache.read("0") == bytes(200)  # now the latest
    engine_cache.write("4", bytes(200))
    assert sorted(path.stem for path in cache.iterdir()) == ["0", "2", "3", "4"]
    engine_cache.write("huge", bytes(999))
    assert not engine_cache.has("huge")


def test_a_border_that_a_convolution_takes_over_is_not_computed() -> None:
    def bordered(x: Tensor) -> tuple[Tensor, ...]:
        return (functional.conv2d(functional.pad(x, (0, 1, 0, 1)), torch.ones(2, 3, 3, 3), stride=2),)

    graph, _ = traced(bordered, [torch.rand(2, 3, 8, 8)])
    written: Any = onnx.load_from_string(to_onnx(graph)).graph
    assert {node.op_type for node in written.node} == {"Conv", "Identity"}
    read = {name for node in written.node for name in node.input}
    assert all(constant.name in read for constant in written.initializer)


def test_other_threads_open_another_session() -> None:
    run, before = runner(torch.tanh), torch.get_num_threads()
    try:
        rows = torch.rand(4, 3)
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            twice(run, rows)
            (shape,) = run._shapes.values()
            session: Any = shape.fast[fast.installed()]
            assert session.threads == threads
    finally:
        torch.set_num_threads(before)


def test_small_jobs_stay_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0, 0.0001)  # seconds: another program on the processor is not a larger job
    monkeypatch.setattr(batched, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    run = runner(torch.tanh)
    with torch.no_grad():
        for _ in range(5):
            run({"x": torch.rand(4, 3)}, 4, coming=100)
    assert run.engine == TORCH
    assert run.reason == ""


def test_a_model_says_what_ran_it(converted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for cost in ("IMPORTING", "STARTING", "PER_STEP", "OPENING", "PER_BYTE"):
        monkeypatch.setattr(fast, cost, 0.0)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, 4))
    model = load(converted(module, torch.rand(1, 3, 16, 16)))
    rows = [{"x": row} for row in np.random.default_rng(0).random((2048, 1, 3, 16, 16), np.float32)]
    answers = model.predict(rows)
    assert model.engine == fast.installed()
    with torch.no_grad():
        expected = module(torch.from_numpy(np.concatenate([row["x"] for row in rows]))).numpy()
    np.testing.assert_allclose(np.concatenate([answer["y"] for answer in answers]), expected, rtol=1e-4, atol=1e-5)
