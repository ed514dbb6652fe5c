"""Turi Create: saved classifiers, and training from a recipe, in a separate Python 3.8 (`make turi`)."""

from typing import overload

from coreml_updatable.converting.contract import ConversionRequest, Converted, ConvertedSource, SourceRequest


@overload
def convert(request: ConversionRequest) -> Converted: ...
@overload
def convert(request: SourceRequest) -> ConvertedSource: ...
def convert(request: ConversionRequest | SourceRequest) -> Converted | ConvertedSource:
    """Convert the classifier in a folder from ``model.save``, or train one with ``create`` on a recipe's pictures.

    The model computes ``predict(..., output_type="probability_vector")`` within 1e-4 in probability; a nearest-
    neighbors one ``predict_topk(..., max_neighbors=10)``. An .mlmodel from ``export_coreml`` goes to the
    converter mlmodel and needs no Turi Create. A recipe's [source] says what to ``train``; its labels are in the
    order of the recipe.
    Raises SourceError with one sentence for other folders, and if Turi Create is missing or fails.
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
