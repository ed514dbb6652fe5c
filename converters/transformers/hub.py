"""Download a model from the Hugging Face hub by its name into the hub's own cache."""

import os
from pathlib import Path

from coreml_updatable.errors import SourceError

from .._shared.wording import first_line

PREFIX = "hub:"
WANTED = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
CODE = ("*.py",)
TIMEOUT = 30.0  # seconds without an answer


def downloaded_folder(name: str, trusted: bool) -> Path:
    """Download ``name`` (OWNER/NAME): only settings and safetensors, and code only if ``trusted``.

    HF_ENDPOINT names another hub, as for the library. Raises SourceError if the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        return Path(
            snapshot_download(
                name, endpoint=hub, allow_patterns=[*WANTED, *CODE] if trusted else [*WANTED], etag_timeout=TIMEOUT
            )
        )
    except Exception as error:  # of the network, the hub's answers or the cache
        raise SourceError(
            f"{PREFIX}{name}: could not be downloaded from {hub} ({type(error).__name__}: {first_line(error)}); "
            "download the model's config.json, preprocessor_config.json and model.safetensors elsewhere, and convert "
            "their folder"
        ) from error
