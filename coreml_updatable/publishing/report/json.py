"""report.json: everything of the report that a program may read."""

import dataclasses
from typing import Any

from coreml_updatable.publishing.report.values import Report

SCHEMA = 4  # raised when a field changes its meaning or goes; 4: `comparison` is what `compare` writes


def report_object(report: Report, *, examples: bool = True) -> dict[str, Any]:
    """Plain dicts, lists, texts and numbers; pictures are left out, their names are kept.

    Without ``examples`` the names of a user's files are left out, too.
    """
    given, data = report.personalization, report.data
    if data is not None and not examples:
        data = dataclasses.replace(data, unreadable=())
    return {
        "schema": SCHEMA,
        "name": report.name,
        "sample": report.sample,
        "description": report.description,
        "labels": list(report.labels),
        "input": dataclasses.asdict(report.input),
        "label_feature": report.label_feature,
        "noun": report.noun,
        "updatable": report.fixed is None,
        "data": dataclasses.asdict(data) if data else None,
        "models": [dataclasses.asdict(model) for model in report.models],
        "proof": dataclasses.asdict(report.proof),
        "source": dict(report.source),
        "history": [dict(entry) for entry in report.history],
        "snapshots": [
            {"title": snapshot.title, "accuracy": dataclasses.asdict(snapshot.accuracy) if snapshot.accuracy else None}
            for snapshot in report.snapshots
        ],
        "base": dataclasses.asdict(report.base.statistics) if report.base else None,
        "comparison": given.comparison.as_json() if given else None,
        "new_label": dataclasses.asdict(given.new_label) if given and given.new_label else None,
        "pictures": {
            "owner": list(given.owner.names),
            "held_out": list(given.held_out.names),
            "test": list(given.test.names),
        }
        if given and examples
        else None,
        "replay": dataclasses.asdict(report.replay) if report.replay else None,
        "reserved_labels": report.reserved_labels,
        "why_not_updatable": [report.fixed.why, report.fixed.marking_says] if report.fixed else [],
        "assumptions": dict(report.assumptions),
        "versions": dict(report.versions),
        "machine": report.machine,
        "seconds": dict(report.seconds),
        "other_programs": report.other_programs,
    }
