"""Writing the results: renamed into place when all are whole, the report that vouches for the models last."""

import hashlib
from collections.abc import Mapping
from io import StringIO

from rich.console import Console

from coreml_updatable.building.cache import REPORT, SUMMARY
from coreml_updatable.building.models_stage import Twins
from coreml_updatable.building.request import AnyRequest
from coreml_updatable.files import write_all_atomically
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.text import json_text

PAGE = "report.html"


def model_files(name: str, twins: Twins) -> dict[str, Model]:
    """File name -> message."""
    return {f"{name}.mlmodel": twins.network, f"{name}KNN.mlmodel": twins.knn}


def write_all(request: AnyRequest, models: Mapping[str, Model], report: Report, vectors: Mapping[str, bytes]) -> None:
    """All files of the build; ``models``: by file name.

    Everything is made before the first byte is written; report.json comes last.
    """
    contents = {name: model_bytes(model) for name, model in models.items()}
    contents |= vectors
    contents[PAGE] = render(report).encode()
    files = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in contents.items()}
    table = {**report_object(report), "key": request.key, "files": files}
    contents[REPORT] = (json_text(table, indent=2) + "\n").encode()
    summary_path = request.cache / SUMMARY
    results = {request.target / name: content for name, content in contents.items()}
    write_all_atomically({summary_path: _terminal_text(report).encode(), **results})


def _terminal_text(report: Report) -> str:
    console = Console(file=StringIO(), record=True, width=100, force_terminal=True)
    console.print(summary(report), soft_wrap=True)  # whole sentences: no part of a name begins a line
    return console.export_text(styles=True)
