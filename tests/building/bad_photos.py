"""Folders of photos with which nothing can be built, one mistake each; every function makes one."""

import struct
import zlib
from pathlib import Path

from PIL import Image


def write_shapes(folder: Path, kinds: tuple[str, ...], count: int) -> None:
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for index in range(count):
            picture = Image.new("RGB", (24, 24), (40 * index, sum(kind.encode()) % 256, 0))
            picture.save(folder / kind / f"{index}.jpg")


def no_folder(_: Path) -> None:
    """The folder of photos is not even there."""


def a_file(folder: Path) -> None:
    folder.write_text("no folder")


def an_empty_folder(folder: Path) -> None:
    folder.mkdir()


def one_class(folder: Path) -> None:
    write_shapes(folder, ("square",), 3)


def an_empty_class(folder: Path) -> None:
    write_shapes(folder, ("square", "star"), 3)
    (folder / "disc").mkdir()


def a_misspelt_class(folder: Path) -> None:
    write_shapes(folder, ("sqare", "disc", "star"), 3)


def no_owner(folder: Path) -> None:
    write_shapes(folder, ("square", "disc"), 3)


def too_few(folder: Path) -> None:
    write_shapes(folder, ("square", "disc", "star"), 2)


def text_as_pictures(folder: Path) -> None:
    write_shapes(folder, ("square", "star"), 5)
    (folder / "square" / "broken.jpg").write_text("another kind's file is not the reason")
    (folder / "disc").mkdir()
    for name in "abc":
        (folder / "disc" / f"{name}.jpg").write_text("text")


def a_cut_picture(folder: Path) -> None:
    write_shapes(folder, ("square", "star", "disc"), 5)
    for path in (folder / "disc").iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])


def a_giant(folder: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    write_shapes(folder, ("square", "star"), 5)
    (folder / "disc").mkdir()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    for number in range(3):
        (folder / "disc" / f"giant{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
