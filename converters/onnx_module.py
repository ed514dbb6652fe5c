"""An ONNX graph as a torch module."""

import warnings
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from coreml_updatable.conversion import ArrayInput
from coreml_updatable.errors import SourceError

from .onnx_inputs import Input
from .torch_wording import first_line


def module_of(model: Any, inputs: Sequence[Input], last: Sequence[bool]) -> nn.Module:
    """What onnx2torch makes of the graph; whole numbers reach it in 64 bits, as ONNX has them.

    ``last`` says which inputs are pictures [n, height, width, channels] to the graph; here all have the channels first.
    It answers a tensor, or several by their names in the graph.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx2torch import convert

        try:
            graph = convert(model).float()  # of weights in 16 or 64 bits, which Core ML computes with in 32
        except Exception as error:  # each operator's converter raises its own
            raise SourceError(
                f"source: onnx2torch can not carry it over ({type(error).__name__}: {first_line(error)}); "
                "export a simpler network"
            ) from error
    names = [str(one.name) for one in model.graph.output]
    whole = [isinstance(given, ArrayInput) and given.whole for given in inputs]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.carried = graph

        def forward(self, *batches: Tensor) -> Any:
            ordered = [batch.permute(0, 2, 3, 1) if one else batch for batch, one in zip(batches, last, strict=True)]
            pairs = zip(ordered, whole, strict=True)
            answer = self.carried(*(batch.long() if long else batch for batch, long in pairs))
            return answer if isinstance(answer, Tensor) else dict(zip(names, answer, strict=True))

    return Module()
