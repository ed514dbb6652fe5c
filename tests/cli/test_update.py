"""`update`: the file it writes, against the same training in torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

import coreml_updatable as cu
from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.samples import samples_of
from tests.backups import backup
from tests.cli.conftest import LABELS, SIDE, Run, classifier, noise

ROW: dict[str, Any] = {"x": [1, 2, 3, 4], "label": "yes"}
CLASSES = (0, 0, 1, 2, 2)  # of the photos, in the order of their names


def _head(model: Path) -> tuple[torch.Tensor, torch.Tensor]:
    layers = read_model(model).neuralNetworkClassifier.layers
    head = next(layer.innerProduct for layer in layers if layer.name == "head")
    shape = (head.outputChannels, head.inputChannels)
    return torch.tensor(list(head.weights.floatValue)).reshape(shape), torch.tensor(list(head.bias.floatValue))


def _pictures() -> torch.Tensor:
    pictures = [np.asarray(noise(index)).transpose(2, 0, 1).ravel() / 255 for index in range(len(CLASSES))]
    return torch.tensor(np.stack(pictures)).float()


def _trained(model: Path, rate: float, momentum: float, size: int, epochs: int) -> tuple[torch.Tensor, list[float]]:
    """The weights after training in order, and the loss of each epoch's last mini-batch."""
    weights, bias = (tensor.requires_grad_() for tensor in _head(model))
    optimizer = torch.optim.SGD([weights, bias], lr=rate, momentum=momentum)
    inputs, targets = _pictures(), torch.tensor(CLASSES)
    losses = []
    for _ in range(epochs):
        for start in range(0, len(targets), size):
            batch = slice(start, start + size)
            loss = functional.cross_entropy(inputs[batch] @ weights.T + bias, targets[batch])
            weights.grad, bias.grad = torch.autograd.grad(loss, [weights, bias])
            optimizer.step()
        losses.append(float(loss.detach()))
    return weights.detach(), losses


SETTINGS = ["--epochs", 3, "--learning-rate", 0.05, "--mini-batch-size", 2, "--momentum", 0.9, "--no-shuffle"]


def test_the_new_model_has_the_weights_that_torch_finds(
    run: Run, picture_model: Path, photos: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new" / "model.mlmodel"
    before = picture_model.read_bytes()
    ran = run("update", picture_model, photos, "-o", new, *SETTINGS, "--json")
    assert ran.status == 0, ran.err
    weights, losses = _trained(picture_model, 0.05, 0.9, 2, 3)
    assert torch.allclose(_head(new)[0], weights, rtol=1e-5, atol=1e-7)
    report = json.loads(ran.out)
    assert [epoch["lossValue"] for epoch in report["epochs"]] == pytest.approx(losses, rel=1e-5)
    assert report["layers"] == ["head"]
    assert report["rows"] == len(CLASSES)
    assert report["parameters"]["momentum"] == 0.9
    assert report["assumptions"]["gradient"] == "mean"
    assert picture_model.read_bytes() == before


def test_parameters_by_key_are_the_same_as_flags(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    keys = ("epochs=3", "learningRate=5e-2", "miniBatchSize=2", "momentum=0.9", "shuffle=false")
    given = [part for key in keys for part in ("--parameter", key)]
    run("update", picture_model, photos, "-o", tmp_path / "keys.mlmodel", *given)
    run("update", picture_model, photos, "-o", tmp_path / "flags.mlmodel", *SETTINGS)
    assert (tmp_path / "keys.mlmodel").read_bytes() == (tmp_path / "flags.mlmodel").read_bytes()


def test_the_library_finds_the_same(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    rows = [{"image": noise(index), "label": LABELS[label]} for index, label in enumerate(CLASSES)]
    context = cu.UpdateTask(picture_model, rows, {"epochs": 2, "seed": 5}).resume()
    context.write(tmp_path / "library.mlmodel")
    run("update", picture_model, photos, "-o", tmp_path / "command.mlmodel", "--epochs", 2, "--seed", 5, "--shuffle")
    assert (tmp_path / "command.mlmodel").read_bytes() == (tmp_path / "library.mlmodel").read_bytes()


def test_what_is_told(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    """Lines of the log on standard error, the changes on standard output."""
    new = tmp_path / "new.mlmodel"
    ran = run("update", picture_model, photos, "-o", new, *SETTINGS)
    _, losses = _trained(picture_model, 0.05, 0.9, 2, 3)
    assert ran.err.splitlines() == [f"epoch {index}/3  loss {loss:.6g}" for index, loss in enumerate(losses, 1)]
    assert ran.out.splitlines() == [
        f"{new}: trained on 5 rows in 3 epochs, loss {losses[0]:.4g} -> {losses[-1]:.4g} "
        "(of the epoch's last mini-batch)",
        "layers changed: head",
        "assumptions: the defaults",
    ]


def test_one_row_and_one_epoch(run: Run, vector_model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"x": [1, 0, 0, 0], "label": "yes"}))
    ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel", "--epochs", 1)
    assert "new.mlmodel: trained on 1 row in 1 epoch, loss " in ran.out


def test_a_terminal_shows_the_line_as_it_changes(
    run: Run, picture_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    ran = run("update", picture_model, photos, "-o", tmp_path / "new.mlmodel", *SETTINGS)
    assert ran.status == 0
    assert "\x1b[" in ran.err
    assert ran.out.splitlines()[1] == "layers changed: head"


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_rows_in_tables(run: Run, vector_model: Path, tmp_path: Path, kind: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(4, 4)).round(3).tolist()
    labels = ["yes", "no", "yes", "no"]
    path = tmp_path / f"rows.{kind}"
    if kind == "json":
        path.write_text(json.dumps([{"x": x, "label": label} for x, label in zip(vectors, labels, strict=True)]))
    else:
        lines = [f'"{json.dumps(x)}",{label}' for x, label in zip(vectors, labels, strict=True)]
        path.write_text("\n".join(["x,label", *lines]))
    assert run("update", vector_model, path, "-o", tmp_path / "new.mlmodel", "--no-shuffle").status == 0
    rows = [{"x": np.array(x), "label": label} for x, label in zip(vectors, labels, strict=True)]
    expected = cu.UpdateTask(vector_model, rows, {"shuffle": False}).resume()
    expected.write(tmp_path / "expected.mlmodel")
    assert (tmp_path / "new.mlmodel").read_bytes() == (tmp_path / "expected.mlmodel").read_bytes()


def test_neighbours_remember_the_rows(run: Run, neighbor_model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('x,label\n"[1, 2, 3, 4]",new\n"[4, 3, 2, 1]",new\n"[0, 0, 0, 1]",axis 3\n')
    ran = run("update", neighbor_model, tmp_path / "rows.csv", "-o", tmp_path / "new.mlmodel")
    assert ran.status == 0, ran.err
    samples = samples_of(read_model(tmp_path / "new.mlmodel"))
    assert samples.embeddings[4:].tolist() == [[1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 0, 1]]
    assert samples.labels[4:] == ("new", "new", "axis 3")
    assert ran.out.splitlines()[1] == "samples added: 2 new, 1 axis 3; the model has 7"


def test_in_place(run: Run, vector_model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"x": [1, 0, 0, 0], "label": "yes"}))
    run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel")
    assert run("update", vector_model, tmp_path / "rows.json", "--in-place").status == 0
    assert vector_model.read_bytes() == (tmp_path / "new.mlmodel").read_bytes()
    assert not list(tmp_path.glob(".*.part"))


def test_assumptions_are_taken_and_told(run: Run, vector_model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([ROW] * 2))
    options = ["--assume", "gradient=sum", "--no-shuffle", "--epochs", 1]
    ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "sum.mlmodel", *options)
    run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "mean.mlmodel", *options[2:])
    old, mean, summed = (_head(path)[0] for path in (vector_model, tmp_path / "mean.mlmodel", tmp_path / "sum.mlmodel"))
    assert torch.allclose(summed - old, 2 * (mean - old), rtol=1e-4)
    assert ran.out.splitlines()[-1] == "assumptions: gradient=sum"


def test_folders_named_by_whole_numbers(run: Run, tmp_path: Path) -> None:
    model = classifier(["0", "1"], image=True, size=SIDE)
    labels = model.neuralNetworkClassifier.stringClassLabels
    del labels.vector[:]
    model.neuralNetworkClassifier.int64ClassLabels.vector.extend([10, 20])
    for feature in (*model.description.output, *model.description.trainingInput):
        if feature.name == "label":
            feature.type.int64Type.SetInParent()
    write_model(model, tmp_path / "model.mlmodel")
    for name in ("10", "20"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (SIDE, SIDE), "white").save(tmp_path / "photos" / name / "a.png")
    ran = run("update", tmp_path / "model.mlmodel", tmp_path / "photos", "-o", tmp_path / "new.mlmodel")
    assert ran.status == 0, ran.err
    (tmp_path / "photos" / "20").rename(tmp_path / "photos" / "twenty")
    ran = run("update", tmp_path / "model.mlmodel", tmp_path / "photos", "-o", tmp_path / "new.mlmodel")
    assert "twenty: the name of the folder is the label, but 'label' is an integer; rename the folder" in ran.err


def test_a_replay_set_is_rows_behind_the_owners(run: Run, vector_model: Path, tmp_path: Path) -> None:
    """The same as all of them in one file: the owner's first."""
    others = [{**ROW, "x": [0, 1, 0, 1], "label": "no"}, {**ROW, "x": [4, 3, 2, 1]}]
    for name, rows in (("own", [ROW]), ("base", others), ("both", [ROW, *others])):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    common = ("--mini-batch-size", 2, "--epochs", 3, "--seed", 1)
    apart = run(
        "update",
        vector_model,
        tmp_path / "own.json",
        "--replay",
        tmp_path / "base.json",
        "-o",
        tmp_path / "a.mlmodel",
        *common,
    )
    assert apart.status == 0, apart.err
    run("update", vector_model, tmp_path / "both.json", "-o", tmp_path / "b.mlmodel", *common)
    assert (tmp_path / "a.mlmodel").read_bytes() == (tmp_path / "b.mlmodel").read_bytes()


def test_a_base_that_learns_lessons_mixes_a_replay_set_in_as_update_does(
    run: Run, vector_model: Path, tmp_path: Path
) -> None:
    backup(tmp_path / "lessons.tar", (ROW["label"], np.array(ROW["x"], np.float32)))
    (tmp_path / "own.json").write_text(json.dumps([ROW]))
    (tmp_path / "base.json").write_text(json.dumps([{**ROW, "x": [0, 1, 0, 1], "label": "no"}] * 2))
    learned, mixed = ("-o", tmp_path / "a.mlmodel"), ("--replay", tmp_path / "base.json")
    ran = run("rebase", vector_model, tmp_path / "lessons.tar", *mixed, *learned)
    assert ran.status == 0, ran.err
    run("update", vector_model, tmp_path / "own.json", *mixed, "-o", tmp_path / "b.mlmodel")
    assert (tmp_path / "a.mlmodel").read_bytes() == (tmp_path / "b.mlmodel").read_bytes()
    run("rebase", vector_model, tmp_path / "lessons.tar", "-o", tmp_path / "c.mlmodel")
    assert (tmp_path / "a.mlmodel").read_bytes() != (tmp_path / "c.mlmodel").read_bytes()
