"""report.json: everything of the report that a program may read."""

import dataclasses
from typing import Any

from coreml_updatable.personalization.comparison_json import to_json
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.text import json_text

SCHEMA = 2  # raised when a field changes its meaning or goes; 2: "assumptions" for what was "variants"


def report_object(report: Report) -> dict[str, Any]:
    """Plain dicts, lists, texts and numbers; pictures are left out, their names are kept."""
    given = report.personalization
    return {
        "schema": SCHEMA,
        "name": report.name,
        "sample": report.sample,
        "description": report.description,
        "labels": list(report.labels),
        "input": dataclasses.asdict(report.input),
        "label_feature": report.label_feature,
        "noun": report.noun,
        "data": dataclasses.asdict(report.data),
        "models": [dataclasses.asdict(model) for model in report.models],
        "proof": dataclasses.asdict(report.proof),
        "source": dict(report.source),
        "history": [dict(entry) for entry in report.history],
        "comparison": to_json(given.comparison) if given else None,
        "pictures": {
            "owner": list(given.owner.names),
            "held_out": list(given.held_out.names),
            "test": list(given.test.names),
        }
        if given
        else None,
        "slots": dataclasses.asdict(report.slots.comparison) if report.slots else None,
        "assumptions": dict(report.assumptions),
        "versions": dict(report.versions),
        "machine": report.machine,
        "seconds": dict(report.seconds),
    }


def report_json(report: Report) -> str:
    """The object as JSON text, UTF-8, two spaces, ending in a newline. No NaN: they are not JSON."""
    return json_text(report_object(report), indent=2) + "\n"
