"""Headers that lie, and files that hold something else: each one sentence, none of them memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, floating_dtypes

from coreml_updatable.data.arrays import mapped
from coreml_updatable.errors import DataError
from tests.data.npy_headers import npy_declaring, npy_with


@given(arrays(floating_dtypes(endianness="="), array_shapes(min_dims=0, min_side=0), elements=st.just(0.5)))
def test_as_numpy_saved_it(
    tmp_path_factory: pytest.TempPathFactory, values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
) -> None:
    path = tmp_path_factory.getbasetemp() / "one.npy"
    np.save(path, values)
    np.testing.assert_array_equal(mapped(path), values, strict=True)


def test_a_header_of_python_2_is_read_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "old.npy").write_bytes(npy_declaring("(1L, 5L)"))
    np.testing.assert_array_equal(mapped(tmp_path / "old.npy"), np.zeros((1, 5), np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUM",
        b"PK\x03\x04 as an .npz begins",
        npy_declaring(f"({2**45},)"),
        npy_declaring(f"({2**62}, {2**62})"),
        npy_declaring(f"({10**30},)"),
        npy_declaring("(-3, -4)"),
        npy_declaring("(True, 2)"),
        npy_declaring("(1,)", "'|O'"),
        npy_declaring("(2,)", "'<U2'"),
        npy_declaring("(2,)", "'a4'"),
        npy_declaring("(2,)", "'<c8'"),
        npy_declaring("(2,)", "'nothing'"),
        npy_with("{"),
        npy_with("{[]: 1}"),
        npy_with("  x\n y"),
        npy_with("(" * 5000),
    ],
)
def test_what_is_no_array(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy: is .*numbers.*; save it with numpy\.save") as raised:
        mapped(path)
    assert "\n" not in str(raised.value)
