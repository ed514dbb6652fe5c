"""The color spaces of an image feature, by the names that the format gives them."""

from coreml_updatable.spec.messages import FeatureTypes_pb2

GRAYSCALE, RGB, BGR, GRAYSCALE_FLOAT16 = (
    FeatureTypes_pb2.ImageFeatureType.ColorSpace.Value(name)
    for name in ("GRAYSCALE", "RGB", "BGR", "GRAYSCALE_FLOAT16")
)
