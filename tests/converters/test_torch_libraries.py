"""What is said where torchvision or timm is missing."""

import sys
from importlib import import_module

import pytest

from coreml_updatable.errors import SourceError
from coreml_updatable.installing import install_command

architectures = import_module("coreml_updatable.converters.torch.architectures")


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(SourceError) as caught:
        architectures.create(f"{library}:resnet18", 2)
    assert str(caught.value) == (
        f"torchvision is not installed, which {library}'s architectures need; run: {install_command('vision')}"
    )
