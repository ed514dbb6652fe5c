"""MNIST's files, written by hand as their format says."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.data import public as idx
from coreml_updatable.data.dataset import load_dataset
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.public import find_idx, read_array, read_idx
from coreml_updatable.data.wanted import Owner, SampleFunction, Wanted
from coreml_updatable.errors import DataError

Files = Callable[..., Path]
SAMPLE = Path(__file__).parents[2] / "sample_models" / "mnist_digits"


def packed(values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes((0, 0, 8, values.ndim)) + lengths + values.tobytes()


def pictures(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """30 pictures of each digit to train and 6 to test, the latter packed."""
    for part, each, ending in (("train", 30, ""), ("t10k", 6, ".gz")):
        labels = np.repeat(np.arange(10, dtype=np.uint8), each)
        pack = gzip.compress if ending else bytes
        (tmp_path / f"{part}-images-idx3-ubyte{ending}").write_bytes(pack(packed(pictures(len(labels)))))
        (tmp_path / f"{part}-labels-idx1-ubyte{ending}").write_bytes(pack(packed(labels)))
    return tmp_path


def test_every_picture_with_its_digit_and_part(mnist: Path) -> None:
    assert find_idx(mnist)
    read = list(read_idx(mnist))
    assert len(read) == 360
    assert [kind for kind, *_ in read[:31]] == ["0"] * 30 + ["1"]
    assert sum(test for *_, test in read) == 60
    assert (np.stack([np.asarray(picture) for _, _, picture, test in read if not test]) == pictures(300)).all()
    assert len(list(read_idx(mnist, most=4))) == 80


def test_as_the_sample_takes_it(mnist: Path) -> None:
    digits = tuple(map(str, range(10)))
    wanted = Wanted(
        input=ImageInput("image", 28, 28, "grayscale"),
        labels=digits,
        kinds={digit: digit for digit in digits},
        owners=(Owner("lying 7", "7", 3, 5),),
        adapt=SampleFunction(SAMPLE, "digits.py:adapt"),
    )
    data = load_dataset(wanted, folder=mnist)
    assert set(data.owner_support.kinds) == {"lying 7"}
    assert {name.split()[0] for name in data.test.names} == {"t10k"}
    assert {name.split()[0] for name in data.train.names} == {"train"}
    assert "pictures of MNIST" in data.origin
    train = pictures(300)
    for name, values in zip(data.train.names, data.train.values, strict=True):
        assert (values[..., 0] == train[int(name.split()[1])]).all()
    with pytest.raises(DataError, match="holds no folder 'lying 7', which the owner's pictures come from"):
        load_dataset(replace(wanted, adapt=None), folder=mnist)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "begins with , expected 00000803"),
        (
            b"\x89PNG" + bytes(100),
            "begins with 89504e47, expected 00000803 .idx, bytes, 3 dimensions.; download it again",
        ),
        (packed(pictures(2))[:-1], r"has 1,567 bytes for the shape \[2, 28, 28\], expected 1,568"),
        (packed(pictures(2)) + b"x", r"has 1,569 bytes for the shape \[2, 28, 28\]"),
        (bytes((0, 0, 8, 3)) + b"\xff" * 12, "has 0 bytes for the shape"),
        (packed(np.zeros((0, 28, 28), np.uint8)), r"for the shape \[0, 28, 28\], expected 0 and no empty dimension"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_array(path, 3)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(bytes(1000), mtime=0)[:-12]])
def test_a_damaged_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x.gz: cannot be read \(.*\); download it again"):
        read_array(path, 3)


def test_more_than_can_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "MAXIMUM_BYTES", 999)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(1_000_000)))
    with pytest.raises(DataError, match="has more than 999 bytes"):
        read_array(path, 3)


def test_labels_that_are_missing_or_too_few(mnist: Path) -> None:
    labels = mnist / "train-labels-idx1-ubyte"
    labels.write_bytes(packed(np.zeros(7, np.uint8)))
    with pytest.raises(DataError, match=r"has 7 labels for 300 pictures, .*; download both again"):
        list(read_idx(mnist))
    labels.unlink()
    with pytest.raises(DataError, match=r"has no train-labels-idx1-ubyte .*; add "):
        list(read_idx(mnist))
