"""``docs/rules.md``: every rule that a model is judged by, read from the code.

python -m docs.pages.rules > docs/rules.md

Section and number stay as they are: the ids of the rules are made of them. A fact that no rule answers for says why.

python -m docs.pages.rules > docs/rules.md
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from coreml_updatable.checking import rules
from coreml_updatable.checking.problem import Rule

Apple: TypeAlias = Literal["rejects", "warns", "passes", "-"]


@dataclass(frozen=True)
class Fact:
    """``apple``: what the validator does with a model that is otherwise; "-" where the fact only explains."""

    number: str  # "5.4"
    apple: Apple
    text: str
    rules: tuple[str, ...] = ()
    why: str = ""  # only without rules


def fact(number: str, apple: Apple, text: str, *rules: str, why: str = "") -> Fact:
    return Fact(number, apple, text, rules, why)


MODEL = (
    fact("1.1", "rejects", "The version is one of those that exist.", "M1.1"),
    fact("1.2", "rejects", "Updatable means version 4 or later.", "M1.2"),
    fact("1.3", "rejects", "Networks, k-NN and pipelines can be updatable.", "M1.3"),
    fact("1.4", "rejects", "An ML program cannot.", "M1.3", "L1.4"),
    fact("1.5", "-", "All else about updates is ignored in a model that is not updatable.", why="held to by `check`"),
    fact("1.6", "rejects", "Features are fully described.", "M1.6"),
    fact("1.7", "passes", "Training inputs are fully described.", "L1.7"),
    fact("1.8", "rejects", "There are an input and an output.", "M1.8"),
    fact("1.9", "rejects", "Optional inputs: not all of a network, none of a k-NN.", "M1.9"),
    fact("1.10", "rejects", "A model is of a kind.", "M1.10"),
    fact("1.11", "rejects", "Functions are those of an ML program.", "M1.11"),
    fact("1.12", "passes", "An output's type can hold what its layer gives.", "L1.12"),
    fact("1.13", "passes", "A feature's size is one that a device can hold.", "L1.13"),
)
GRAPH = (
    fact("2.1", "rejects", "A network has layers, in an order in which each can run.", "N2.1"),
    fact("2.2", "rejects", "A blob has one writer, `copy` aside.", "N2.2"),
    fact("2.3", "rejects", "Networks take pictures and arrays; plain ones answer them too.", "N2.3"),
    fact("2.4", "rejects", "As many weights are stored as are declared.", "N2.4"),
    fact("2.5", "rejects", "One precision a layer, one storage field a weight.", "N2.5"),
    fact("2.6", "rejects", "A convolution has weights (a product need not).", "N2.6", "L2.6"),
    fact("2.7", "-", "Two modes: rank 5 for old layers and mappings, else ranks as they are.", "N2.9", "N2.13"),
    fact("2.8", "rejects", "Newer layers and array inputs need the exact mapping.", "N2.8"),
    fact("2.9", "rejects", "In rank-5 mode arrays have rank 1 or 3.", "N2.9"),
    fact("2.10", "warns", "Shapes do not contradict each other (rank-5 mode).", "L2.10"),
    fact("2.11", "-", "After that warning it looks at nothing of sections 3 to 8.", "L2.10"),
    fact("2.12", "-", "In the other mode only stated ranks are known.", "N2.13"),
    fact("2.13", "rejects", "Stated ranks are high enough, and kept.", "N2.13"),
    fact("2.14", "passes", "A softmax gets rank 3 or more.", "L2.14"),
    fact("2.15", "-", "innerProduct keeps the rank.", "L2.14"),
    fact("2.16", "rejects", "A layer reads and writes as many blobs as its kind does.", "N2.16"),
    fact("2.17", "rejects", "It has a kind, and the parameters that this needs.", "N2.17"),
    fact("2.18", "rejects", "What a plain network answers is written by a layer, once.", "N2.18"),
    fact("2.19", "rejects", "Loops write their conditions; what breaks or continues stands in one.", "N2.19"),
)
LAYERS = (
    fact("3.1", "rejects", "Some layer is updatable.", "N3.1"),
    fact("3.2", "rejects", "Only three kinds can be.", "N3.2"),
    fact("3.3", "rejects", "Their weights are flagged.", "N3.3"),
    fact("3.4", "rejects", "Their biases are flagged, where they have one.", "N3.4"),
    fact("3.5", "rejects", "They are not quantized.", "N3.5"),
    fact("3.6", "passes", "Other layers are not quantized either.", "L3.6"),
    fact("3.7", "passes", "No 16-bit weights.", "L3.7"),
    fact("3.8", "passes", "An updatable LSTM's weights are not looked at.", "L3.7", "L11.6"),
    fact("3.9", "-", "Flags of weights elsewhere are ignored.", why="allowed, and without effect"),
    fact("3.10", "-", "Any number, frozen ones between them.", why="allowed"),
    fact("3.11", "passes", "They lead to the loss.", "L3.11"),
    fact("4.1", "rejects", "Names of layers and losses are distinct.", "N4.1"),
    fact("4.2", "rejects", "The empty name is a name.", "N4.1"),
    fact("4.3", "-", "Only in updatable networks.", why="allowed elsewhere"),
)
LOSS = (
    fact("5.1", "rejects", "One loss at most.", "N5.1"),
    fact("5.2", "rejects", "One at least: with none it crashes.", "N5.2"),
    fact("5.3", "rejects", "The loss has a kind.", "N5.3"),
    fact("5.4", "rejects", "Cross entropy reads a softmax.", "N5.4"),
    fact("5.5", "rejects", "softmaxND is none.", "N5.4"),
    fact("5.6", "rejects", "The target comes from outside.", "N5.6"),
    fact("5.7", "rejects", "Squared error reads a layer.", "N5.7"),
    fact("5.8", "-", "The target may be called anything.", why="8.4 and 8.5 ask for its training input"),
    fact("5.9", "passes", "Labels and outputs are as many.", "L5.9"),
    fact("5.10", "-", "Squared error may train a classifier.", why="allowed"),
    fact("6.1", "rejects", "Nothing on the way blocks the gradient.", "N6.1"),
    fact("6.2", "-", "What passes it on.", "N6.1"),
    fact("6.3", "-", "All else blocks.", "N6.1"),
    fact("6.4", "-", "Save the softmax in front of a cross entropy.", "N6.1"),
    fact("6.5", "-", "Before the first updatable layer anything may stand.", "N6.1"),
    fact("6.6", "-", "A block on one branch counts for those looked at later.", "N6.1"),
)
PARAMETERS = (
    fact("7.1", "rejects", "An optimizer is set.", "N7.1"),
    fact("7.2", "rejects", "What SGD needs.", "N7.2"),
    fact("7.3", "rejects", "What Adam needs.", "N7.3"),
    fact("7.4", "rejects", "Epochs are set.", "N7.4"),
    fact("7.5", "-", "Shuffle and seed may be missing.", why="allowed"),
    fact("7.6", "rejects", "Real defaults are in their ranges.", "N7.6"),
    fact("7.7", "passes", "They make sense.", "L7.7"),
    fact("7.8", "passes", "So does the momentum.", "L7.7", "L7.8"),
    fact("7.9", "rejects", "Whole defaults are 1 or more.", "N7.9"),
    fact("7.10", "rejects", "They are in their sets.", "N7.10"),
    fact("7.11", "rejects", "Sets are positive, as far as the default.", "N7.11", "L7.11"),
    fact("7.12", "rejects", "They are in their ranges, which are positive.", "N7.12"),
    fact("7.13", "-", "Without either, anything goes.", "L7.13"),
    fact("7.14", "rejects", "The seed is in its set or range.", "N7.14"),
    fact("7.15", "-", "Set or range, not both.", why="the format has room for one only"),
    fact("8.1", "rejects", "Two training inputs at least.", "N8.1"),
    fact("8.2", "rejects", "One is an input.", "N8.2"),
    fact("8.3", "rejects", "One is not.", "N8.3"),
    fact("8.4", "rejects", "That is the target.", "N8.4"),
    fact("8.5", "rejects", "In a classifier: the target or the label.", "N8.5"),
    fact("8.6", "rejects", "The label has its own type.", "N8.6"),
    fact("8.7", "passes", "The target's type fits the loss.", "L8.7"),
    fact("8.8", "-", "Order and others do not matter.", why="allowed"),
    fact("8.9", "passes", "Every input that the loss depends on is there.", "L8.9"),
)
ANSWERS = (
    fact("8b.1", "rejects", "A classifier has labels.", "N8b.1"),
    fact("8b.2", "rejects", "It answers one, of their type.", "N8b.2"),
    fact("8b.3", "rejects", "Probabilities that are named are answered.", "N8b.3"),
    fact("8b.4", "rejects", "The blob of the probabilities exists.", "N8b.4"),
    fact("8b.5", "rejects", "So do all other outputs.", "N8b.5"),
    fact("8b.6", "rejects", "A regressor answers a number.", "N8b.6"),
)
NEIGHBORS = (
    fact("9.1", "rejects", "numberOfNeighbors is allowed.", "K9.1"),
    fact("9.2", "passes", "It is no more than there are samples.", why="an app adds the samples later"),
    fact("9.3", "rejects", "A weighting is set.", "K9.3"),
    fact("9.4", "rejects", "An index is set.", "K9.4"),
    fact("9.5", "rejects", "Leaves hold one sample at least.", "K9.5"),
    fact("9.6", "rejects", "A distance is set.", "K9.6"),
    fact("9.7", "rejects", "The default label is of the labels' kind.", "K9.7"),
    fact("9.8", "rejects", "An empty model has a default label.", "K9.8", "L9.8"),
    fact("9.9", "rejects", "One label a sample.", "K9.9"),
    fact("9.10", "rejects", "All samples are as long as declared.", "K9.10", "L9.10"),
    fact("9.11", "passes", "That length is positive, and the input's.", "L9.11"),
    fact("9.12", "rejects", "The label is answered, in its type.", "K9.12"),
    fact("9.13", "passes", "One input, a vector.", "L9.13"),
    fact("9.14", "passes", "Training inputs: the input and the label.", "L9.14"),
    fact("9.15", "rejects", "Updatable means version 4 or later.", "M1.2"),
    fact("9.16", "rejects", "Probabilities that are named are answered.", "K9.16"),
)
PIPELINES = (
    fact("10.1", "rejects", "A pipeline holds a model.", "P10.1"),
    fact("10.2", "rejects", "Every member is fed.", "P10.2"),
    fact("10.3", "-", "Members are judged by the rules of their kinds.", why="held to by `check`"),
    fact("10.4", "rejects", "Every output is made.", "P10.4"),
    fact("10.5", "rejects", "The last member of an updatable one is updatable.", "P10.5"),
    fact("10.6", "rejects", "And only that.", "P10.6"),
    fact("10.7", "rejects", "Else none is.", "P10.7"),
    fact("10.8", "-", "The same holds inside.", "P10.5", "P10.6", "P10.7"),
    fact("10.9", "rejects", "Names: one each, distinct.", "P10.9"),
    fact("10.10", "rejects", "Updatable means version 4, inside too.", "M1.2"),
    fact("10.11", "passes", "Training inputs and predicted feature are there.", "L10.11", "L10.12", "L10.13"),
)
STRICTER = (
    fact("11.1", "-", "A contradiction of shapes hides all else.", "L2.10"),
    fact("11.2", "-", "Exactly one loss.", "N5.1", "N5.2"),
    fact("11.3", "-", "Updatable layers reach it.", "L3.11"),
    fact("11.4", "-", "Ranks are inferred for softmax.", "L2.14"),
    fact("11.5", "-", "32-bit floats.", "L3.7"),
    fact("11.6", "-", "Finite and sensible numbers.", "L11.6", "L9.10", "L7.7", "L7.8", "L7.11"),
    fact("11.7", "-", "Labels and outputs agree; the label trains.", "L5.9", "L8.7"),
    fact("11.8", "-", "Training inputs are complete and typed.", "L8.9", "L1.7"),
    fact("11.9", "-", "k-NN: one vector, its length, training inputs, default.", "L9.13", "L9.11", "L9.14", "L9.8"),
    fact("11.10", "-", "No batchnorm on the way.", "L11.10"),
)
OTHERS = (
    fact("12.1", "rejects", "Models of other kinds are given and answer what their kind does.", "M12.1"),
    fact("12.2", "rejects", "They have the parameters that their kind needs.", "M12.2"),
    fact("12.3", "passes", "Support vectors are alike, counted from 1, none below 0.", "L12.3"),
    fact("12.4", "passes", "rho of a support vector classifier: one a pair of classes.", "L12.4"),
    fact("12.5", "passes", "Probabilities that it names can be made.", "L12.5"),
    fact("12.6", "passes", "A suppression has a method.", "L12.6"),
    fact("12.7", "passes", "Its two outputs allow the same numbers of boxes.", "L12.7"),
)
FACTS = (*MODEL, *GRAPH, *LAYERS, *LOSS, *PARAMETERS, *ANSWERS, *NEIGHBORS, *PIPELINES, *STRICTER, *OTHERS)


INTRODUCTION = """\
# Rules

What `coreml-updatable check` judges a model by: {all} rules. An *error* is what Apple's own validator of the format
rejects; a *warning* is what it lets pass and devices or apps suffer from. A problem names its rule by the id below,
which never changes. The rules of updating hold only for models that are updatable; the members of a pipeline are judged
one by one, each by the rules of its kind. A thread is where people met what the rule spares; `#123` is of coremltools.

Written by `python -m docs.pages.rules > docs/rules.md`; a test holds page and code together.
"""
GROUPS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Every model", rules.MODEL),
    ("Every neural network", rules.NETWORK),
    ("Network classifiers", rules.CLASSIFIER),
    ("Network regressors", rules.REGRESSOR),
    ("Updatable networks", rules.UPDATABLE_NETWORK),
    ("Nearest neighbours", rules.NEAREST_NEIGHBORS),
    ("Pipelines", rules.PIPELINE),
    ("Models of other kinds", rules.OTHER),
)


FACTS_TITLE = """
## What Apple's validator does, and which rules answer for it
Found by reading it and by trying models on it, in the numbering that the ids are made of. *Rejects*: such a model is
refused; *warns* and *passes*: it is accepted, although the sentence does not hold; *-*: the sentence only explains.

| number | sentence | otherwise Apple | rules |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page, Markdown: a table a group, one line a rule, and one of the numbered facts."""
    tables = "".join(
        "\n".join(
            ("", f"## {title}", "| id | severity | rule | remedy | thread |", "| --- " * 5 + "|", *_rows(group), "")
        )
        for title, group in GROUPS
    )
    return INTRODUCTION.format(all=len(rules.RULES)) + tables + FACTS_TITLE + "".join(_facts())


def _rows(group: tuple[Rule, ...]) -> Iterator[str]:
    for rule in group:
        statement = rule.statement.replace("|", "\\|").replace("``", "`")
        yield f"| {rule.id} | {rule.severity} | {statement} | {rule.remedy} | {_link(rule.thread)} |"


def _link(thread: str | None) -> str:
    """``apple/coremltools#1705`` as a Markdown link."""
    if thread is None:
        return ""
    repository, number = thread.split("#")
    shown = f"#{number}" if repository == "apple/coremltools" else thread
    return f"[{shown}](https://github.com/{repository}/issues/{number})"


def _facts() -> Iterator[str]:
    for fact in FACTS:
        yield f"| {fact.number} | {fact.text} | {fact.apple} | {', '.join(fact.rules) or f'none: {fact.why}'} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
