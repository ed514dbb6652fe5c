"""faiss names the candidates where it pays; the answers are those of the search without it, and exact."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.runtime import candidates_faiss
from coreml_updatable.runtime.candidates import MANY
from coreml_updatable.runtime.neighbors import nearest


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_faiss, "WORTH", 0)
    monkeypatch.setattr(candidates_faiss, "FEWEST_VALUES", 0)


def drawn(seed: int, offset: float, copies: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    samples = np.repeat((random.normal(size=(60, 16)) * 0.01 + offset).astype(np.float32), copies, axis=0)
    return samples, (random.normal(size=(25, 16)) * 0.01 + offset).astype(np.float32)


@pytest.mark.usefixtures("worth_it")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.floats(0, 1000), st.integers(1, 9), st.integers(1, 12))
def test_exact_whatever_faiss_rounds_and_however_many_tie(seed: int, offset: float, copies: int, count: int) -> None:
    samples, queries = drawn(seed, offset, copies)
    exact = ((queries[:, None].astype(np.float64) - samples[None]) ** 2).sum(-1)
    for query, (indices, distances) in enumerate(nearest(samples, queries, count)):
        np.testing.assert_array_equal(indices, np.argsort(exact[query], kind="stable")[:count])
        np.testing.assert_allclose(distances, np.sort(exact[query])[:count])


@pytest.mark.usefixtures("worth_it")
def test_it_answers_for_most_and_leaves_out_those_with_many_ties() -> None:
    samples, queries = drawn(3, 0, 1)
    queries[0] += 5
    samples = np.concatenate([samples, np.repeat(queries[:1], 40, axis=0)])
    found = candidates_faiss.candidates(samples, queries, 5, np.full(len(queries), 1e-6))
    assert sorted(found) == list(range(1, len(queries)))


@pytest.mark.usefixtures("worth_it")
@pytest.mark.parametrize(("samples", "count"), [(60, 61), (60, candidates_faiss.MOST + 1), (MANY, 5), (60, 50)])
def test_where_it_would_not_pay(samples: int, count: int) -> None:
    many = np.zeros((samples, 2), np.float32)
    assert candidates_faiss.candidates(many, many[:3], count, np.zeros(3)) == {}


def test_small_searches_do_not_import_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_faiss, "_search", lambda: pytest.fail("imported"))
    samples, queries = drawn(4, 0, 1)
    assert len(list(nearest(samples, queries, 3))) == len(queries)
    monkeypatch.setattr(candidates_faiss, "WORTH", 0)  # enough to do, but for few queries
    assert len(list(nearest(samples, queries, 3))) == len(queries)


@pytest.mark.usefixtures("worth_it")
@pytest.mark.parametrize("library", ["", "raise ImportError('libgomp.so.1: cannot open')", "knn_was_not_yet_there = 1"])
def test_without_one_that_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str) -> None:
    samples, queries = drawn(5, 2, 2)
    with_it = list(nearest(samples, queries, 4))
    if library:
        (tmp_path / "faiss.py").write_text(library)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "faiss")
    else:
        monkeypatch.setitem(sys.modules, "faiss", None)
    assert candidates_faiss.candidates(samples, queries, 4, np.zeros(len(queries))) == {}
    for (indices, distances), (others, apart) in zip(with_it, nearest(samples, queries, 4), strict=True):
        np.testing.assert_array_equal(indices, others)
        np.testing.assert_array_equal(distances, apart)
