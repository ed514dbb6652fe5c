"""`convert` on torch's own files and modules: equal to torch, and refused in one sentence where it can not be."""

import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from coreml_updatable.building.converter import find_converter, load_source_converter
from coreml_updatable.building.finished import Finished, finish, probabilities
from coreml_updatable.conversion import ArrayInput, ImageInput, SourceRequest
from coreml_updatable.errors import RecipeError, SourceError
from coreml_updatable.runtime import load

tracing = import_module("coreml_updatable.converters.torch_tracing")
script = import_module("coreml_updatable.converters.torch_script")
PICTURE = ImageInput("image", 12, 12, "rgb")
LABELS = ("a", "b", "c")
FACTORY = """
from torch import nn

def make(classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))

def wrong(classes):
    return classes
"""


class Net(nn.Module):
    """Two layers in its head, as many networks have them."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(8, 16), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(16, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        answer: Tensor = self.classifier(self.pool(self.body(pictures)).flatten(1))
        return answer


class Convolutional(nn.Module):
    """A head as SqueezeNet's: a convolution, and the mean over the picture behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 3, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.relu(self.last(torch.relu(self.body(pictures)))).mean(dim=(2, 3))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(20, 6), nn.Linear(6, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        answer: Tensor = self.fc((self.table(ids) * mask.unsqueeze(-1)).mean(dim=1))
        return answer


class Parallel(nn.Module):
    """Two layers give the answer together, so that none is the head."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.one(values) + self.other(values)
        return answer


class Branching(nn.Module):
    """Branches on shapes, a loop over a list, and a table of layers: what tracing alone can not take apart."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 4, 3, padding=1)])
        self.norm, self.fc = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        seen: list[Tensor] = [pictures]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        last = self.norm(seen[len(seen) - 1])
        if last.shape[2] > 100:
            last = last[:, :, :100]
        total = torch.zeros_like(last)
        for number in range(last.shape[1] - 1):
            total = total + last * (number + 1)
        height, width = last.shape[2:]
        places: list[int] = [0] * 2
        places.extend([1, 2])
        places.insert(0, places.pop())
        if 1 in places:
            total = total + float((places + list(places))[0])
        assert height == width, "expected a square"
        answer: Tensor = self.fc(total.view(1, 4, height * width).mean(2))
        return answer


class Unused(Parallel):
    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.one(values)
        return answer


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    """With weights by chance that are large enough to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = make().eval()
        with torch.no_grad():
            for weights in network.parameters():
                weights.normal_(0, 0.5)
    return network


def converted(source: Any, *inputs: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("torch")), SourceRequest(source, inputs=inputs, **options))


def agrees(made: Finished, network: nn.Module, scale: Callable[[Tensor], Tensor] = lambda pixels: pixels / 255) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    seen = scale(torch.from_numpy(pixels).float()).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(seen).double().softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    said = probabilities(load(made.model), [{"image": one} for one in pixels], LABELS)
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_a_traced_torchscript_file_answers_as_its_module_does(tmp_path: Path) -> None:
    network = drawn(Net)
    made = converted(
        saved(tmp_path / "net.pt", network), PICTURE, labels=LABELS, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)
    )
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    agrees(made, network, lambda pixels: (pixels / 255 - mean) / std)
    assert made.reference == "the TorchScript module"
    assert made.notes == ()
    assert made.updatable == ("fc2",)


def test_a_scripted_module_with_branches_and_loops(tmp_path: Path) -> None:
    network = drawn(Branching)
    with tracing.quiet():
        script: Any = torch.jit.script(network)
        script.save(tmp_path / "net.torchscript")
        answers = [script(torch.zeros(1, 3, 12, 12)), network(torch.zeros(1, 3, 12, 12))]
    assert torch.equal(*answers)
    made = converted(tmp_path / "net.torchscript", PICTURE, labels=LABELS)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    with torch.no_grad():
        seen = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)[:, None]
        expected = torch.cat([network(one) for one in seen]).double().softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    said = probabilities(load(made.model), [{"image": one} for one in pixels], LABELS)
    np.testing.assert_allclose(said, expected, atol=1e-5)
    parameters = sum(one.numel() for one in network.parameters())
    assert made.facts == {"parameters": parameters}
    assert converted(script, PICTURE, labels=LABELS).model == made.model


@torch.jit.ignore  # type: ignore[untyped-decorator]
def of_python(values: Tensor) -> Tensor:
    return values


class Quantized(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torch.dequantize(torch.quantize_per_tensor(values, 0.1, 0, torch.qint8)).mean(dim=(2, 3))


class Endless(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        while bool(values.sum() > -1):
            values = values * 1
        return values


def scripted(make: Callable[[], nn.Module]) -> Any:
    with tracing.quiet():
        return torch.jit.script(make().eval())


def test_a_module_says_how_its_pictures_arrive() -> None:
    network = drawn(Net)
    made = converted(network, PICTURE, labels=LABELS)
    agrees(made, network)
    assert made.notes == ("pictures reach it as 0..1; say --pixels, or --mean and --std, if it expects them otherwise",)


def test_token_ids_and_a_mask() -> None:
    network = drawn(Words)
    inputs = (ArrayInput("ids", (7,), whole=True), ArrayInput("mask", (7,)))
    made = converted(network, *inputs, labels=LABELS)
    ids = np.random.default_rng(0).integers(0, 20, (3, 7)).astype(np.int32)
    mask = np.tril(np.ones((3, 7), np.float32), 4)
    rows = [{"ids": one, "mask": other} for one, other in zip(ids, mask, strict=True)]
    with torch.no_grad():
        expected = network(torch.from_numpy(ids).long(), torch.from_numpy(mask)).double().softmax(1).numpy()
    np.testing.assert_allclose(probabilities(load(made.model), rows, LABELS), expected, atol=1e-5)


def test_weights_beside_a_function(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(FACTORY)
    reference = f"{tmp_path}/nets.py:make"
    network = drawn(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    )
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    torch.save(network.state_dict(), tmp_path / "w.pt")
    for made in (
        converted(reference, PICTURE, labels=LABELS, weights=str(tmp_path / "w.safetensors")),
        converted(tmp_path / "w.pt", PICTURE, labels=LABELS, architecture=reference),
    ):
        agrees(made, network)
    made = converted(reference, PICTURE, labels=LABELS)
    assert made.notes[0] == "the weights are those that make made: unless it loads some, the answers are chance"


@pytest.mark.parametrize(
    ("make", "cut", "where", "width"),
    [
        (Net, "", "classifier.3", 16),  # of a head of two layers the last
        (Net, "classifier", "classifier", 8),
        (Net, "pool", "pool", 8),
        (Convolutional, "", "last", 8),
    ],
)
def test_a_new_head_behind_the_extractor(make: Callable[[], nn.Module], cut: str, where: str, width: int) -> None:
    made = converted(drawn(make), PICTURE, labels=("x", "y"), head="new", cut=cut)
    assert (made.facts["cut"], made.facts["features"]) == (where, width)
    assert made.reference == "the torch module with a new head"
    assert made.difference < 1e-5
    (dense,) = (one.innerProduct for one in made.model.neuralNetworkClassifier.layers if one.name == made.updatable[0])
    assert (dense.inputChannels, dense.outputChannels) == (width, 2)
    assert (
        f"the head is new, behind the {width} features in front of {where!r}: it knows nothing until it is trained"
        in made.notes
    )


def test_the_extractor_in_front_of_a_new_head_is_the_old_one() -> None:
    network: Any = drawn(Net)
    made = converted(network, PICTURE, labels=("x", "y"), head="new", cut="classifier")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), np.uint8)
    (row,) = (one for one in made.model.neuralNetworkClassifier.layers if one.name == made.updatable[0])
    said = load(made.model).predict([{"image": one} for one in pixels], intermediate=True)
    with torch.no_grad():
        seen = network.pool(network.body(torch.from_numpy(pixels / np.float32(255)).permute(0, 3, 1, 2))).flatten(1)
    np.testing.assert_allclose(np.stack([np.ravel(one[row.input[0]]) for one in said]), seen, atol=1e-5)


def saved(path: Path, network: nn.Module) -> Path:
    with tracing.quiet():  # about TorchScript itself
        traced: Any = torch.jit.trace(network.eval(), torch.rand(1, 3, 12, 12))  # type: ignore[no-untyped-call]
        traced.save(path)
    return path


def rewritten(path: Path, change: Callable[[bytes], bytes], *, packed: bool = False) -> Path:
    """The archive at ``path`` with other code for the network's own class, or with its tensors packed."""
    with zipfile.ZipFile(path) as archive:
        entries = [(one, archive.read(one)) for one in archive.infolist()]
    changed = 0
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries:
            if b"class Net(Module)" in data:
                data, changed = change(data), changed + 1
            kind = zipfile.ZIP_DEFLATED if packed or entry.compress_type else zipfile.ZIP_STORED
            archive.writestr(entry.filename, data + bytes(5000 if packed else 0), kind)
    assert changed == 1
    return path


@pytest.mark.parametrize(
    ("line", "operator"),
    [
        ('    torch.save(pictures, "stolen.pt")\n', "save"),
        ('    t = torch\n    _9 = t . from_file("/etc/passwd", False, 4)\n', "from_file"),
        ('    _9 = ops.image.read_file("/etc/passwd")\n', "ops.image"),
    ],
)
def test_torchscript_that_would_touch_files_is_refused(
    line: str, operator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begin = b"pictures: Tensor) -> Tensor:\n"
    path = rewritten(saved(tmp_path / "net.pt", Net()), lambda code: code.replace(begin, begin + line.encode()))
    with pytest.raises(SourceError) as error:
        converted(path, PICTURE)
    assert f".py uses {operator!r}, expected nothing but torch's own operators" in str(error.value)
    assert not Path("stolen.pt").exists()


def test_archives_that_grow_or_are_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "net.pt", Net())
    whole = path.read_bytes()
    with pytest.raises(SourceError, match=r"net.pt: its archive grows when unpacked, expected one written by torch.ji"):
        converted(rewritten(path, bytes, packed=True), PICTURE)
    path.write_bytes(whole)
    with pytest.raises(SourceError, match=r"net.pt: can not be read as TorchScript \(.*; save it anew with torch.jit"):
        converted(rewritten(path, lambda code: code.replace(b"->", b"<-")), PICTURE)
    path.write_bytes(whole)
    monkeypatch.setattr(script, "MOST_BYTES", 10)
    with pytest.raises(SourceError, match=r"net.pt: larger than 10 bytes, expected a network for a phone"):
        converted(path, PICTURE)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("exploded"), "x"))


def bomb(folder: Path) -> Path:
    torch.save({"a": Bomb()}, folder / "bomb.pt")
    return folder / "bomb.pt"


def whole_module(folder: Path) -> Path:
    torch.save(Net(), folder / "module.pt")
    return folder / "module.pt"


def state(folder: Path) -> Path:
    torch.save(Net().state_dict(), folder / "state.pt")
    return folder / "state.pt"


def factory(folder: Path) -> str:
    (folder / "nets.py").write_text(FACTORY)
    return f"{folder}/nets.py"


REFUSED: list[tuple[Callable[[Path], Any], dict[str, Any], str]] = [
    (bomb, {}, "bomb.pt: holds Python objects that loading would run as code, expected nothing but tensors"),
    (whole_module, {}, "module.pt: holds Python objects that loading would run as code"),
    (state, {}, "state.pt: holds weights and no network; say whose they are with --architecture torchvision:NAME"),
    (
        state,
        {"architecture": "nets.py:make", "weights": "other.pt"},
        "--weights other.pt: state.pt holds weights already; leave one of them out",
    ),
    (
        state,
        {"architecture": "resnet18"},
        "resnet18: names no network, expected torchvision:NAME, timm:NAME or file.py",
    ),
    (
        lambda f: factory(f) + ":make",
        {"labels": ()},
        "nets.py:make: is called with the number of classes, which is not",
    ),
    (lambda f: factory(f) + ":wrong", {}, "nets.py:wrong: returned a int, expected a torch.nn.Module; correct it"),
    (lambda f: factory(f) + ":make", {"weights": "no.pt"}, "--weights no.pt: no such file; check the path"),
    (
        lambda f: factory(f) + ":make",
        {"architecture": "timm:x"},
        "nets.py:make names one already; leave one of them out",
    ),
    (lambda f: saved(f / "n.pt", Net()), {"weights": "w.pt"}, "--weights w.pt: n.pt, a TorchScript file, has its own;"),
    (lambda f: saved(f / "n.pt", Net()), {"inputs": ()}, "input: none is named, and a torch module does not say what"),
    (
        lambda f: saved(f / "n.pt", Net()),
        {"head": "new"},
        "the source is compiled and can not be cut; convert it as it is, and then: coreml-updatable mark MODEL --head",
    ),
    (
        lambda _: scripted(Branching),
        {"inputs": (ImageInput("image", 8, 12, "rgb"),)},
        "the source can not take an input of shape [1, 3, 12, 8] (ValueError: ",
    ),
    (
        lambda _: scripted(Endless),
        {},
        "of shape [1, 3, 12, 12] (ValueError: a loop that turns more than 1000 times); name its inputs",
    ),
    (
        lambda _: scripted(Net),
        {"inputs": (PICTURE, PICTURE)},
        "(TypeError: 2 inputs for a module that takes 1); name its inputs as it has them with --input",
    ),
    (lambda _: Net(), {"architecture": "timm:x"}, "--architecture timm:x: a module has its own; leave the option out"),
    (lambda _: 7, {}, "source: is a int, expected a torch.nn.Module, a file or a name; give one of these"),
    (lambda _: Net(), {"labels": ("a", "b")}, "labels: 2 for a network with 3 outputs; name one for each, or convert"),
    (
        lambda _: Net(),
        {"labels": ("a",), "head": "new"},
        "labels: 1 for a new head, expected two or more; say --labels",
    ),
    (
        lambda _: Net(),
        {"head": "new", "cut": "clasifier"},
        "--cut clasifier: the network has no module of that name; there are: classifier",
    ),
    (
        lambda _: Parallel(),
        {"head": "new", "inputs": (ArrayInput("x", (5,)),)},
        "the network's head is not found: no linear layer or convolution gives its 3 answers alone; name a module in "
        "front of which to cut with --cut, such as: 'one', 'other'",
    ),
    (
        lambda _: nn.Sequential(nn.Flatten(2), nn.Linear(144, 4), nn.Flatten(), nn.Linear(12, 3)),
        {"head": "new", "cut": "1"},
        "--cut 1: what is in front of it has the shape [1, 3, 144], expected [1, features] or [1, channels, height",
    ),
    (
        lambda _: drawn(Unused),
        {"head": "new", "cut": "other", "inputs": (ArrayInput("x", (5,)),)},
        "--cut other: this module does not run; name another",
    ),
]


@pytest.mark.parametrize(("make", "options", "sentence"), REFUSED)
def test_what_is_refused(
    make: Callable[[Path], Any],
    options: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SourceError, RecipeError)) as error:
        load_source_converter(find_converter("torch"))(
            SourceRequest(make(tmp_path), **{"inputs": (PICTURE,), "labels": LABELS, **options})
        )
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not Path("exploded").exists()
