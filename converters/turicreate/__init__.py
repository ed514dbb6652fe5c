"""Turi Create: saved classifiers, and training from a recipe, in a Python 3.8 of its own (`make turi`)."""

from typing import overload

from coreml_updatable.converting.contract import ConversionRequest, Converted, ConvertedSource, SourceRequest


@overload
def convert(request: ConversionRequest) -> Converted: ...
@overload
def convert(request: SourceRequest) -> ConvertedSource: ...
def convert(request: ConversionRequest | SourceRequest) -> Converted | ConvertedSource:
    """The classifier in a folder that ``model.save`` wrote, or what ``create`` makes of a recipe's pictures.

    The model answers ``predict(..., output_type="probability_vector")``, within 1e-4 in probability; one of nearest
    neighbours ``predict_topk(..., max_neighbors=10)``. An .mlmodel that ``export_coreml`` wrote is given to the
    converter mlmodel, and needs no Turi Create. A recipe's [source] says what to ``train``; its labels are in the
    order of the recipe.
    Raises SourceError with one sentence for a folder of another kind, and where Turi Create is missing or fails.
    """
    from pathlib import Path

    if isinstance(request, ConversionRequest):
        from .training import trained

        return trained(request)

    from .. import mlmodel
    from .finished import finished

    if isinstance(request.source, Path) and request.source.is_file():
        return mlmodel.convert(request)
    return finished(request)
