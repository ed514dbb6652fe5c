"""Which texts may become part of a path, and which version is newer."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.merging import valid_base_url
from coreml_updatable.publishing.catalogue.names import is_file_name, is_version, version_key


@given(st.text(max_size=40) | st.text("./\\ab", max_size=12))
def test_no_file_name_leads_anywhere_else(text: str) -> None:
    if is_file_name(text):
        parts = text.split("/")
        assert len(parts) <= 2
        assert text.isascii()
        assert not any(part.startswith(".") or part in ("", "..") or "\\" in part for part in parts)


@pytest.mark.parametrize("text", ["A.mlmodel", "report.html", "vectors/01.png", "A.vectors.json"])
def test_names_of_files(text: str) -> None:
    assert is_file_name(text)


@pytest.mark.parametrize("text", ["", ".lock", "a", "../a.b", "a/../b.c", "a/b/c.d", "/a.b", "a.b\n", "a..b", "C:a.b"])
def test_no_names_of_files(text: str) -> None:
    assert not is_file_name(text)


@pytest.mark.parametrize("text", ["", "1.", ".1", "v1", "01", "1.0-beta", "1.2.3.4.5", "1.0\n", "١.٠", "9999999999"])
def test_no_versions(text: str) -> None:
    assert not is_version(text)


def test_versions_are_ordered_by_their_numbers() -> None:
    ordered = ["0", "0.9", "1", "1.2", "1.10", "1.10.1", "2.0", "10"]
    assert all(map(is_version, ordered))
    keys = [version_key(version) for version in ordered]
    assert all(one < other for one, other in itertools.pairwise(keys))
    assert version_key("1") == version_key("1.0.0")


def test_base_urls() -> None:
    assert valid_base_url("https://example.org/a") == "https://example.org/a/"
    assert valid_base_url("http://127.0.0.1:8000/") == "http://127.0.0.1:8000/"
    for text in ("example.org", "file:///x", "https://", "https://e.org/?a", "https://e.org/#a", "https://u:p@e.org/"):
        with pytest.raises(CatalogueError, match=r"^--base-url .*: expected a URL such as https://example"):
            valid_base_url(text)
    for text in ("https://e.org/a b", "https://e.org:x/", "https://ä.org/", 'https://e.org/"\n'):
        with pytest.raises(CatalogueError, match="expected a URL"):
            valid_base_url(text)
