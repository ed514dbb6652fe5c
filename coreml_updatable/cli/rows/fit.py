"""How a picture of another size is made to fit, in the words of Vision."""

from enum import StrEnum


class Fit(StrEnum):
    CENTRE_CROP = "centre-crop"
    SCALE_TO_FIT = "scale-to-fit"
    STRETCH = "stretch"
