"""The LZ4 block format: runs of bytes as they are, and copies of what came before."""


def decompressed(content: bytes, size: int) -> bytes:
    """``content`` unpacked, ``size`` bytes; a ValueError where it is not so long, or is no LZ4 block.

    A sequence is a token (upper four bits: bytes as they are, lower four: bytes to copy less 4; 15 goes on in further
    bytes), the bytes, and how far back the copy begins, u16. The last sequence has no copy. After the LZ4 Block Format
    Description of the lz4 project.
    """
    made, place = bytearray(), 0
    while place < len(content):
        token = content[place]
        count, place = _length(content, place + 1, token >> 4)
        made += content[place : place + count]
        place += count
        if place >= len(content):
            break
        back = int.from_bytes(content[place : place + 2], "little")
        count, place = _length(content, place + 2, token & 15)
        _copy(made, back, count + 4)
        if len(made) > size:
            break
    if len(made) != size or place != len(content):
        raise ValueError("a block unpacks to another length")
    return bytes(made)


def _length(content: bytes, place: int, count: int) -> tuple[int, int]:
    if count == 15:
        while True:
            if place >= len(content):
                raise ValueError("a block ends early")
            count += content[place]
            place += 1
            if content[place - 1] != 255:
                break
    return count, place


def _copy(made: bytearray, back: int, count: int) -> None:
    if not 0 < back <= len(made):
        raise ValueError("a copy begins before its block")
    start = len(made) - back
    piece = bytes(made[start : start + count])
    made += (piece * (count // len(piece) + 1))[:count]  # a copy may reach into itself
