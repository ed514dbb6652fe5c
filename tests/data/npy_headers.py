"""Files of .npy whose headers say what is not so."""

import struct


def npy_with(header: str) -> bytes:
    """Version 1.0 of the format with ``header`` as it is, and 64 bytes of zeros."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(64)


def npy_declaring(shape: str, dtype: str = "'<f4'") -> bytes:
    return npy_with(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}")
