"""The type of head according to a folder's settings: one label, several independent ones, or values."""

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.errors import SourceError

from ..torch.answers import NEW_HEAD
from ..torch.outcome import MULTI_LABEL
from .folder import Folder


def labels_for(folder: Folder, request: SourceRequest) -> tuple[str, ...]:
    """Return the labels of ``folder`` if they belong to one softmax; none for a new head or a single column.

    transformers trains a head with ``problem_type`` "multi_label_classification" with a sigmoid for each label, and one
    with "regression", or with one output and no such setting, on values, which the logits do not reveal. A SourceError
    says so.
    """
    if request.head == "new" or request.column is not None:
        return ()
    kind = folder.config.get("problem_type")
    if kind == "multi_label_classification":
        raise SourceError(
            f"{folder.path}/config.json: problem_type is 'multi_label_classification': the source returns "
            f"{MULTI_LABEL.format(count=len(folder.labels))}"
        )
    if kind == "regression" or (kind is None and len(folder.labels) == 1 and len(request.labels) != 2):
        setting = "problem_type is 'regression'" if kind else "one label and no problem_type, which is regression"
        raise SourceError(
            f"{folder.path}/config.json: {setting}: the source returns values, not classes; {NEW_HEAD}"
            + ("" if kind else "; if it was trained as the logit of two classes, pass --labels no,yes")
        )
    return folder.labels if len(folder.labels) > 1 else ()
