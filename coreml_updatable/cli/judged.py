"""What the rules say of a model that is about to be written."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coreml_updatable.spec.messages import Model


def judged(made: "Model", what: str) -> list[str]:
    """The warnings of the rules; a ModelError for the first thing that Apple's compiler would reject."""
    from coreml_updatable.checking import check
    from coreml_updatable.errors import ModelError

    problems = check(made)
    for problem in problems:
        if problem.severity == "error":
            raise ModelError(f"{what}: {problem}; nothing was written")
    return [str(problem) for problem in problems]
