"""Folders as Turi Create's model.save begins them."""

from pathlib import Path


def saved_folder(path: Path, kind: str) -> Path:
    """All of a saved model that is read without Turi Create: its archive's list, and the name of its kind."""
    path.mkdir()
    (path / "dir_archive.ini").write_text("[archive]\nversion=1\nnum_prefixes=1\n[metadata]\ncontents=model\n")
    (path / "objects.bin").write_bytes(b"TCMODEL0" + len(kind).to_bytes(8, "little") + kind.encode() + b"\x06\x00\x00")
    return path
