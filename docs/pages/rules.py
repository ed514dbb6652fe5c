"""Write ``docs/rules.md`` from the code: every rule of ``check``.

python -m docs.pages.rules > docs/rules.md

Sections and numbers never change, because the ids of the rules contain them. A fact without a rule says why.
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
    """``apple``: what the validator does with a model for which it is false; "-" if the fact only explains."""

    number: str  # "5.4"
    apple: Apple
    text: str
    rules: tuple[str, ...] = ()
    why: str = ""  # only without rules


def fact(number: str, apple: Apple, text: str, *rules: str, why: str = "") -> Fact:
    return Fact(number, apple, text, rules, why)


MODEL = (
    fact("1.1", "rejects", "The specification version exists.", "M1.1"),
    fact("1.2", "rejects", "An updatable model has version 4 or later.", "M1.2"),
    fact("1.3", "rejects", "Only networks, k-NNs and pipelines can be updatable.", "M1.3"),
    fact("1.4", "rejects", "An ML program cannot be updatable.", "M1.3", "L1.4"),
    fact(
        "1.5", "-", "Everything about updates is ignored in a model that is not updatable.", why="`check` does the same"
    ),
    fact("1.6", "rejects", "Features are completely described.", "M1.6"),
    fact("1.7", "passes", "Training inputs are completely described.", "L1.7"),
    fact("1.8", "rejects", "There is at least one input and one output.", "M1.8"),
    fact("1.9", "rejects", "Not all inputs of a network are optional, and no input of a k-NN is.", "M1.9"),
    fact("1.10", "rejects", "A model has a type.", "M1.10"),
    fact("1.11", "rejects", "Only an ML program has functions.", "M1.11"),
    fact("1.12", "passes", "The type of an output can hold what its layer computes.", "L1.12"),
    fact("1.13", "passes", "A device can hold the declared size of every feature.", "L1.13"),
)
GRAPH = (
    fact("2.1", "rejects", "A network has layers, in an order in which each can run.", "N2.1"),
    fact("2.2", "rejects", "A blob has one writer, except for `copy`.", "N2.2"),
    fact(
        "2.3", "rejects", "Inputs of networks are images and arrays, and so are the outputs of plain networks.", "N2.3"
    ),
    fact("2.4", "rejects", "There are as many stored weights as declared.", "N2.4"),
    fact("2.5", "rejects", "Each layer has one precision, and each weight one storage field.", "N2.5"),
    fact("2.6", "rejects", "A convolution has weights (an inner product may have none).", "N2.6", "L2.6"),
    fact("2.7", "-", "There are two modes: rank 5 for old layers and mappings, any rank otherwise.", "N2.9", "N2.13"),
    fact("2.8", "rejects", "Newer layers with array inputs need the exact mapping.", "N2.8"),
    fact("2.9", "rejects", "In rank-5 mode, arrays have rank 1 or 3.", "N2.9"),
    fact("2.10", "warns", "Shapes do not contradict each other (rank-5 mode).", "L2.10"),
    fact("2.11", "-", "After that warning, sections 3 to 8 are skipped.", "L2.10"),
    fact("2.12", "-", "In the other mode, only stated ranks are known.", "N2.13"),
    fact("2.13", "rejects", "Stated ranks are high enough, and layers keep them.", "N2.13"),
    fact("2.14", "passes", "The input of a softmax has rank 3 or more.", "L2.14"),
    fact("2.15", "-", "innerProduct keeps the rank.", "L2.14"),
    fact("2.16", "rejects", "A layer has the number of inputs and outputs that its kind requires.", "N2.16"),
    fact("2.17", "rejects", "A layer has a type, and the parameters that the type requires.", "N2.17"),
    fact("2.18", "rejects", "Each output of a plain network is written by a layer and described once.", "N2.18"),
    fact("2.19", "rejects", "Loops write their conditions; break and continue are inside a loop.", "N2.19"),
)
LAYERS = (
    fact("3.1", "rejects", "At least one layer is updatable.", "N3.1"),
    fact("3.2", "rejects", "Only three kinds of layers can be updatable.", "N3.2"),
    fact("3.3", "rejects", "Their weights are flagged.", "N3.3"),
    fact("3.4", "rejects", "Their biases, if any, are flagged.", "N3.4"),
    fact("3.5", "rejects", "They are not quantized.", "N3.5"),
    fact("3.6", "passes", "Other layers are not quantized either.", "L3.6"),
    fact("3.7", "passes", "There are no 16-bit weights.", "L3.7"),
    fact("3.8", "passes", "The weights of an updatable LSTM are not checked.", "L3.7", "L11.6"),
    fact("3.9", "-", "Flags on weights of other layers are ignored.", why="allowed, without effect"),
    fact("3.10", "-", "Any number of layers can be updatable, with frozen layers between them.", why="allowed"),
    fact("3.11", "passes", "Updatable layers lead to the loss.", "L3.11"),
    fact("4.1", "rejects", "Names of layers and losses are distinct.", "N4.1"),
    fact("4.2", "rejects", "The empty name counts as a name.", "N4.1"),
    fact("4.3", "-", "This applies only to updatable networks.", why="allowed elsewhere"),
)
LOSS = (
    fact("5.1", "rejects", "There is at most one loss.", "N5.1"),
    fact("5.2", "rejects", "There is at least one loss; without one the validator crashes.", "N5.2"),
    fact("5.3", "rejects", "The loss has a type.", "N5.3"),
    fact("5.4", "rejects", "Cross entropy reads a softmax.", "N5.4"),
    fact("5.5", "rejects", "softmaxND does not count as a softmax.", "N5.4"),
    fact("5.6", "rejects", "The target is not written by a layer.", "N5.6"),
    fact("5.7", "rejects", "Squared error reads the output of a layer.", "N5.7"),
    fact("5.8", "-", "The target can have any name.", why="8.4 and 8.5 check its training input"),
    fact("5.9", "passes", "There are as many labels as outputs.", "L5.9"),
    fact("5.10", "-", "A classifier may be trained with squared error.", why="allowed"),
    fact("6.1", "rejects", "No layer between an updatable layer and the loss blocks the gradient.", "N6.1"),
    fact("6.2", "-", "Some kinds of layers pass on the gradient.", "N6.1"),
    fact("6.3", "-", "All other kinds block it.", "N6.1"),
    fact("6.4", "-", "The softmax before a cross entropy does not block it.", "N6.1"),
    fact("6.5", "-", "Any layer may come before the first updatable one.", "N6.1"),
    fact("6.6", "-", "A blocking layer on one branch also counts for layers visited later.", "N6.1"),
)
PARAMETERS = (
    fact("7.1", "rejects", "An optimizer is set.", "N7.1"),
    fact("7.2", "rejects", "SGD has all its parameters.", "N7.2"),
    fact("7.3", "rejects", "Adam has all its parameters.", "N7.3"),
    fact("7.4", "rejects", "The number of epochs is set.", "N7.4"),
    fact("7.5", "-", "Shuffle and seed may be missing.", why="allowed"),
    fact("7.6", "rejects", "Defaults of real parameters are in their ranges.", "N7.6"),
    fact("7.7", "passes", "Real parameters have sensible values.", "L7.7"),
    fact("7.8", "passes", "The momentum is sensible and in its range.", "L7.7", "L7.8"),
    fact("7.9", "rejects", "Defaults of integer parameters are 1 or more.", "N7.9"),
    fact("7.10", "rejects", "Defaults of integer parameters are in their sets.", "N7.10"),
    fact("7.11", "rejects", "Sets are positive (checked up to the default).", "N7.11", "L7.11"),
    fact("7.12", "rejects", "Defaults of integer parameters are in their ranges, which are positive.", "N7.12"),
    fact("7.13", "-", "Without a set or range, any value is allowed.", "L7.13"),
    fact("7.14", "rejects", "The seed is in its set or range.", "N7.14"),
    fact("7.15", "-", "A parameter has a set or a range, not both.", why="the format can store only one of them"),
    fact("8.1", "rejects", "There are at least two training inputs.", "N8.1"),
    fact("8.2", "rejects", "At least one training input is a model input.", "N8.2"),
    fact("8.3", "rejects", "At least one training input is not.", "N8.3"),
    fact("8.4", "rejects", "The training input that is not a model input is the target of the loss.", "N8.4"),
    fact("8.5", "rejects", "In a classifier, that input is the target or the label.", "N8.5"),
    fact("8.6", "rejects", "The label has the type of the output.", "N8.6"),
    fact("8.7", "passes", "The type of the target fits the loss.", "L8.7"),
    fact("8.8", "-", "The order of training inputs and additional ones do not matter.", why="allowed"),
    fact("8.9", "passes", "Every input that the loss depends on is a training input.", "L8.9"),
)
ANSWERS = (
    fact("8b.1", "rejects", "A classifier has labels.", "N8b.1"),
    fact("8b.2", "rejects", "A classifier has an output for the label, with their type.", "N8b.2"),
    fact("8b.3", "rejects", "A named output for the probabilities exists.", "N8b.3"),
    fact("8b.4", "rejects", "The blob of the probabilities exists.", "N8b.4"),
    fact("8b.5", "rejects", "The blobs of all other outputs exist.", "N8b.5"),
    fact("8b.6", "rejects", "The output of a regressor is a number.", "N8b.6"),
)
NEIGHBORS = (
    fact("9.1", "rejects", "numberOfNeighbors is allowed by its set or range.", "K9.1"),
    fact("9.2", "passes", "There are at least as many samples as neighbors.", why="an app adds the samples later"),
    fact("9.3", "rejects", "A weighting is set.", "K9.3"),
    fact("9.4", "rejects", "An index is set.", "K9.4"),
    fact("9.5", "rejects", "Leaves have at least one sample.", "K9.5"),
    fact("9.6", "rejects", "A distance is set.", "K9.6"),
    fact("9.7", "rejects", "The default label has the type of the labels.", "K9.7"),
    fact("9.8", "rejects", "An empty model has a default label.", "K9.8", "L9.8"),
    fact("9.9", "rejects", "There is one label per sample.", "K9.9"),
    fact("9.10", "rejects", "All samples have the declared length.", "K9.10", "L9.10"),
    fact("9.11", "passes", "That length is positive and equals the length of the input.", "L9.11"),
    fact("9.12", "rejects", "There is an output for the label, with its type.", "K9.12"),
    fact("9.13", "passes", "There is one input, a vector.", "L9.13"),
    fact("9.14", "passes", "The training inputs are the input and the label.", "L9.14"),
    fact("9.15", "rejects", "An updatable k-NN has version 4 or later.", "M1.2"),
    fact("9.16", "rejects", "A named output for the probabilities exists.", "K9.16"),
)
PIPELINES = (
    fact("10.1", "rejects", "A pipeline contains a model.", "P10.1"),
    fact("10.2", "rejects", "Every input of a member has a source.", "P10.2"),
    fact("10.3", "-", "Members are checked by the rules for their types.", why="`check` does the same"),
    fact("10.4", "rejects", "Every output is computed.", "P10.4"),
    fact("10.5", "rejects", "The last member of an updatable pipeline is updatable.", "P10.5"),
    fact("10.6", "rejects", "No other member is updatable.", "P10.6"),
    fact("10.7", "rejects", "No member of another pipeline is updatable.", "P10.7"),
    fact("10.8", "-", "The same applies to pipelines inside pipelines.", "P10.5", "P10.6", "P10.7"),
    fact("10.9", "rejects", "Names of members are distinct, one per member.", "P10.9"),
    fact("10.10", "rejects", "Updatable members have version 4 or later, too.", "M1.2"),
    fact("10.11", "passes", "Training inputs and the predicted feature exist.", "L10.11", "L10.12", "L10.13"),
)
STRICTER = (
    fact("11.1", "-", "A contradiction of shapes hides all other problems.", "L2.10"),
    fact("11.2", "-", "There is exactly one loss.", "N5.1", "N5.2"),
    fact("11.3", "-", "Updatable layers lead to the loss.", "L3.11"),
    fact("11.4", "-", "Ranks are inferred for softmax.", "L2.14"),
    fact("11.5", "-", "Weights are 32-bit floats.", "L3.7"),
    fact("11.6", "-", "Numbers are finite and sensible.", "L11.6", "L9.10", "L7.7", "L7.8", "L7.11"),
    fact("11.7", "-", "Labels match outputs, and the label is the target.", "L5.9", "L8.7"),
    fact("11.8", "-", "Training inputs are complete and have types.", "L8.9", "L1.7"),
    fact(
        "11.9",
        "-",
        "k-NN: one vector of the declared length, training inputs, a default label.",
        "L9.13",
        "L9.11",
        "L9.14",
        "L9.8",
    ),
    fact("11.10", "-", "There is no batchnorm between an updatable layer and the loss.", "L11.10"),
)
OTHERS = (
    fact("12.1", "rejects", "Models of other types have the inputs and outputs of their type.", "M12.1"),
    fact("12.2", "rejects", "Models of other types have the parameters that their type requires.", "M12.2"),
    fact("12.3", "passes", "Support vectors have equal lengths, indices from 1, and no negative counts.", "L12.3"),
    fact("12.4", "passes", "The rho of a support vector classifier has one number per pair of classes.", "L12.4"),
    fact("12.5", "passes", "A support vector classifier can compute the probabilities that it names.", "L12.5"),
    fact("12.6", "passes", "A non-maximum suppression has a method.", "L12.6"),
    fact("12.7", "passes", "Both outputs of a non-maximum suppression allow the same number of boxes.", "L12.7"),
    fact("12.8", "passes", "No number of a model that is not a network is NaN or infinite.", "L12.8"),
)
FACTS = (*MODEL, *GRAPH, *LAYERS, *LOSS, *PARAMETERS, *ANSWERS, *NEIGHBORS, *PIPELINES, *STRICTER, *OTHERS)


INTRODUCTION = """\
# Rules

This page is for people who want to look up a problem that `coreml-updatable check` reported: all {all} rules, by id.
[checking.md](checking.md) says how well they agree with Apple's validator.

Apple's validator of the format rejects a model with an *error*. It accepts a model with a *warning*, but a device or
an app may fail. A problem names its rule by an id, which never changes. The rules for updates apply only to updatable
models. The members of a pipeline are checked one by one, each by the rules for its type. A thread is a public report
of the problem that the rule prevents; `#123` is an issue of coremltools.

This page is generated: run `python -m docs.pages.rules > docs/rules.md` instead of editing it.
"""
GROUPS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Every model", rules.MODEL),
    ("Every neural network", rules.NETWORK),
    ("Network classifiers", rules.CLASSIFIER),
    ("Network regressors", rules.REGRESSOR),
    ("Updatable networks", rules.UPDATABLE_NETWORK),
    ("Nearest neighbors", rules.NEAREST_NEIGHBORS),
    ("Pipelines", rules.PIPELINE),
    ("Models of other types", rules.OTHER),
)


FACTS_TITLE = """
## What Apple's validator does, and which rules cover it
These facts come from reading the validator and from trying models on it; the ids of the rules contain their numbers.
If the sentence is false for a model, the validator *rejects* the model, *warns* about it, or *passes* it; *-* marks
sentences that only explain.

| number | sentence | if false | rules |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page as Markdown: a table per group with a line per rule, and one of the numbered facts."""
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
    """Return a thread such as ``apple/coremltools#1705`` as a Markdown link."""
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
