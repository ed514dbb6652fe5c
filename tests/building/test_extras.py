"""What a converter lacks, read from a package's metadata on disk."""

from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

import pytest

from coreml_updatable.building.converter import GROUP, find_converter
from coreml_updatable.building.converter_page import told
from coreml_updatable.building.extras import needs_of

METADATA = """Metadata-Version: 2.1
Name: other-package
Version: 1.0
Requires-Dist: numpy
Requires-Dist: numpy>=2; extra == "here"
Requires-Dist: numpy>=999; extra == "newer"
Requires-Dist: no-such-package-at-all; extra == "absent"
Requires-Dist: another-absent-one; extra == "absent" and python_version < "3"
"""


@pytest.fixture
def distribution(tmp_path: Path) -> PathDistribution:
    folder = tmp_path / "other_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    return PathDistribution(folder)


@pytest.mark.parametrize(
    ("extras", "missing", "command"),
    [
        ("", (), ""),
        ("[here]", (), ""),
        ("[newer]", ("numpy>=999",), "pip install 'other-package[newer]'"),
        ("[absent]", ("no-such-package-at-all",), "pip install 'other-package[absent]'"),
        ("[here,absent]", ("no-such-package-at-all",), "pip install 'other-package[here,absent]'"),
    ],
)
def test_what_is_missing(distribution: PathDistribution, extras: str, missing: tuple[str, ...], command: str) -> None:
    entry = EntryPoint("mine", f"no_such_module:convert {extras}", GROUP)
    vars(entry).update(dist=distribution)
    assert (needs_of(entry).missing, needs_of(entry).command) == (missing, command)
    facts = told(entry)
    assert (facts.missing, facts.command, facts.endings) == (missing, command, ())
    assert facts.summary == entry.value  # whose module can not be found


def test_an_entry_point_of_no_package_needs_nothing() -> None:
    assert needs_of(EntryPoint("mine", "module:convert [extra]", GROUP)).missing == ()


def test_what_is_said_of_our_own() -> None:
    facts = told(find_converter("sklearn"))
    assert facts.summary.startswith("scikit-learn: ")
    assert ".skops" in facts.endings
    assert facts.missing == ()
