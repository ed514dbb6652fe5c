"""Archives of lessons: written and read again, hostile ones, and a base that learns from one."""

import tarfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import coreml_updatable as cu
from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.personalization.lessons import (
    MANIFEST,
    Lesson,
    Lessons,
    read_lessons,
    rebase,
    rows_of,
)
from tests.backups import archive, backup, entry, manifest
from tests.publishing.catalogue.conftest import network

WHEN = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


def lesson(label: str, example: np.ndarray) -> Lesson:
    return Lesson(label, example, WHEN, uuid.uuid4())


shapes = st.one_of(
    arrays.array_shapes(min_dims=2, max_dims=2), arrays.array_shapes(min_dims=2, max_dims=2).map(lambda s: (*s, 3))
)
pictures = arrays.arrays(np.uint8, shapes)
numbers = arrays.arrays(np.float32, arrays.array_shapes(max_dims=4))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.one_of(pictures, numbers)), max_size=4))
def test_what_an_app_backs_up_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    result = read_lessons(backup(tmp_path_factory.mktemp("lessons") / "lessons.tar", *rows))
    assert (result.model, result.base) == ("Meals", "")
    assert [item.label for item in result.lessons] == [label for label, _ in rows]
    for (_, before), after in zip(rows, result.lessons, strict=True):
        np.testing.assert_array_equal(before, after.example)
        assert before.dtype == after.example.dtype
        assert after.date == WHEN


FILE = "lessons/0b6f2a3e-97a5-4d7d-8c5f-3a8f6f6f2b11.bin"


def link() -> tarfile.TarInfo:
    member = tarfile.TarInfo(FILE)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


def huge() -> tarfile.TarInfo:
    member = tarfile.TarInfo(MANIFEST)
    member.size = 0
    member.type = tarfile.DIRTYPE
    return member


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {FILE: b"abc", MANIFEST: manifest(entry())},
        {MANIFEST: manifest(entry())},
        {MANIFEST: manifest(entry()), FILE: b"abd"},
        {MANIFEST: manifest(entry()), FILE: b"abcd"},
        {MANIFEST: manifest(entry()), FILE: b"abc", "lessons/other.bin": b""},
        {MANIFEST: manifest(entry()), "../../evil": b"abc"},
        {MANIFEST: manifest(entry()), FILE: link()},
        {MANIFEST: manifest(entry(), entry()), FILE: b"abc"},
        {MANIFEST: manifest(entry(shape=[1, 3])), FILE: b"abc"},
        {MANIFEST: manifest(entry(shape=[1 << 20, 1 << 20, 3])), FILE: b"abc"},
        {MANIFEST: manifest(entry(shape=[-1, -1, 3])), FILE: b"abc"},
        {MANIFEST: manifest(entry(label="")), FILE: b"abc"},
        {MANIFEST: manifest(entry(id="../evil")), FILE: b"abc"},
        {MANIFEST: manifest(entry(surplus=1)), FILE: b"abc"},
        {MANIFEST: manifest(entry(), format=2), FILE: b"abc"},
        {MANIFEST: b"[]"},
        {MANIFEST: b"{" * 100_000},
        {MANIFEST: huge()},
    ],
    ids=lambda entries: "-".join(entries)[:40],
)
def test_what_is_not_an_archive_of_lessons(tmp_path: Path, entries: dict[str, bytes | tarfile.TarInfo]) -> None:
    path = archive(tmp_path / "lessons.tar", entries)
    with pytest.raises(DataError, match=str(path)):
        read_lessons(path)


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    path = backup(tmp_path / "lessons.tar", ("a", np.zeros((8, 8), np.uint8)))
    content = path.read_bytes()
    for length in range(0, 2048, 128):
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read_lessons(path)


def test_a_base_learns_what_an_update_with_the_same_rows_learns(network_message: Any) -> None:
    model = network_message
    random = np.random.default_rng(0)
    shape = tuple(model.description.input[0].type.multiArrayType.shape)
    name, label = model.description.input[0].name, model.description.predictedFeatureName
    examples = [random.normal(size=shape).astype(np.float32) for _ in range(4)]
    labels = [str(name) for name in cu.load(model).labels or ()]
    lessons = Lessons("Any", "", tuple(lesson(labels[i % len(labels)], example) for i, example in enumerate(examples)))
    rows = [{name: example, label: labels[i % len(labels)]} for i, example in enumerate(examples)]
    expected = cu.UpdateTask(cu.load(model), rows).resume().model
    actual = rebase(cu.load(model), lessons).model
    assert actual.message.SerializeToString(deterministic=True) == expected.message.SerializeToString(
        deterministic=True
    )
    assert actual.message != model


def test_what_a_base_does_not_take(network_message: Any) -> None:
    model = cu.load(network_message)
    with pytest.raises(DataError):
        rebase(model, Lessons("Any", "", ()))
    with pytest.raises(ModelError):
        rebase(model, Lessons("Any", "", (lesson("a", np.zeros((4, 4, 3), np.uint8)),)))


@pytest.mark.parametrize(("crop", "columns"), [("centerCrop", (8, 24)), ("scaleFill", (0, 32))])
def test_a_picture_of_another_size_is_fitted_as_training_did(crop: str, columns: tuple[int, int]) -> None:
    """A lesson of 16 x 32 pixels, for a base of 8 x 8: its middle, or all of it."""
    model = network(1)
    model.description.metadata.userDefined["coreml_updatable.crop"] = crop
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    wide = np.broadcast_to(ramp[None, :, None], (16, 32, 3)).copy()
    (row,) = rows_of(cu.load(model), Lessons("Any", "", (lesson("healthy", wide),)))
    left, right = columns
    expected = ramp[left:right].reshape(8, -1).mean(axis=1)  # a ramp scaled down: the mean of each part
    actual = np.asarray(row["image"])[:, :, 0]
    assert actual.shape == (8, 8)
    assert np.abs(actual[:, 1:-1] - expected[1:-1]).max() < 4
