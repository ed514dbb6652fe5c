"""Turi Create's pictures."""

from typing import Any

RAW = 2  # of the formats that an Image may be in


def images(pixels: Any) -> Any:
    """uint8 [n, height, width, channels] -> SArray of Image."""
    import turicreate

    return turicreate.SArray([_image(item) for item in pixels], dtype=turicreate.Image)


def _image(pixels: Any) -> Any:
    import turicreate

    height, width, channels = pixels.shape
    content = pixels.tobytes()
    return turicreate.Image(
        _image_data=content,
        _width=width,
        _height=height,
        _channels=channels,
        _format_enum=RAW,
        _image_data_size=len(content),
    )
