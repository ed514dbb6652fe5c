"""An app's backup of its lessons, written as docs/lessons.md describes it."""

import hashlib
import io
import json
import tarfile
import uuid
from pathlib import Path

import numpy as np


def archive(path: Path, entries: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                file.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def entry(content: bytes = b"abc", **changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "id": "0b6f2a3e-97a5-4d7d-8c5f-3a8f6f6f2b11",
        "label": "healthy",
        "date": "2026-11-30T08:00:00Z",
        "kind": "rgb8",
        "shape": [1, 1, 3],
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {**fields, **changes}


def manifest(*entries: dict[str, object], **changes: object) -> bytes:
    return json.dumps({"format": 1, "model": "Meals", "base": "", "lessons": entries, **changes}).encode()


def backup(path: Path, *lessons: tuple[str, np.ndarray]) -> Path:
    """Write ``lessons``: labels, and uint8 pixels or float32 arrays."""
    entries, contents = [], {}
    for label, example in lessons:
        kind = "float32" if example.dtype == np.float32 else "rgb8" if example.ndim == 3 else "gray8"
        content, name = example.astype(example.dtype.newbyteorder("<")).tobytes(), str(uuid.uuid4())
        entries.append(entry(content, id=name, label=label, kind=kind, shape=example.shape))
        contents[f"lessons/{name}.bin"] = content
    return archive(path, {"lessons.json": manifest(*entries), **contents})
