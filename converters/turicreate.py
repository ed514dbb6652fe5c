"""Turi Create: saved classifiers, exported by Turi Create itself in a Python 3.8 of its own (`make turi`)."""

from coreml_updatable.conversion import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """The classifier in a folder that ``model.save`` wrote, or in an .mlmodel that ``export_coreml`` wrote.

    The model answers ``predict(..., output_type="probability_vector")``, within 1e-4 in probability; an .mlmodel is
    given to the converter mlmodel, and needs no Turi Create.
    Raises SourceError with one sentence for a folder of another kind, and where Turi Create is missing or fails.
    """
    from pathlib import Path

    from . import mlmodel
    from .turicreate_finished import finished

    if isinstance(request.source, Path) and request.source.is_file():
        return mlmodel.convert(request)
    return finished(request)
