"""How many channels a layer is given, beside how many it is made for."""

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import NeuralNetworkLayer
from coreml_updatable.spec.shapes import element_count


def given_and_expected(layer: NeuralNetworkLayer, shape: Shape | None) -> tuple[int | None, int | None]:
    """Channels of an input of ``shape``, and those that the layer expects; None where it is not known."""
    kind = layer_kind(layer)
    if not shape or kind not in ("convolution", "innerProduct", "batchnorm"):
        return None, None
    if kind == "innerProduct" and len(shape) < 4:
        return shape[-1], int(layer.innerProduct.inputChannels)
    if len(shape) < 3:
        return None, None
    if kind == "innerProduct":
        return element_count(shape[-3:]), int(layer.innerProduct.inputChannels)
    if kind == "batchnorm":
        return shape[-3], int(layer.batchnorm.channels)
    params = layer.convolution
    groups = 1 if params.isDeconvolution else max(1, int(params.nGroups))
    return shape[-3], int(params.kernelChannels) * groups
