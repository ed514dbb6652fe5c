"""The probes about training: one for each assumption.

All start from weights 0 or 1 and learn class 0 of two, so the gradient of a row x is -x / 2 at weights 0.
"""

from coreml_updatable.updating.probes.networks import Training, classifier, regressor
from coreml_updatable.updating.probes.probe import Probe, Reading, Row

STILL = 1e-8  # a learning rate at which no loss moves in single precision
SCORES = Reading("output", "scores")
# Losses so uneven that no two ways to make four mini-batches of three give the same four means, to EQUAL.
UNEVEN = (5.0, 4.0, 3.0, 2.2, 1.5, 0.9, 0.2, -0.6, -1.5, -2.5, -3.6, -4.8)
EASY_TO_HARD = tuple(float(value) for value in range(3, -5, -1))  # as x with weights (1, 0), each has a higher loss


def learning_probes() -> list[Probe]:
    """Return the probes in the order of settling: each after the assumptions that its numbers depend on."""
    rows: list[Row] = [{"x": x, "probabilities_true": [0.0]} for x in ([1.0, 0.0], [1.0, 0.0], [0.0, 1.0])]
    return [
        Probe(
            assumption="gradient",
            says="Two equal rows in one mini-batch: the sum of their gradients moves the weights twice as far as "
            "the mean.",
            model=classifier([[0.0], [0.0]], Training(batch=2)),
            rows=_rows(1.0, 1.0),
            query={"x": [1.0]},
            read=SCORES,
        ),
        Probe(
            assumption="last_mini_batch",
            says="Three rows in mini-batches of two: only the third changes the weights of the second value.",
            model=classifier([[0.0, 0.0], [0.0, 0.0]], Training(batch=2)),
            rows=tuple(rows),
            query={"x": [0.0, 1.0]},
            read=SCORES,
        ),
        Probe(
            assumption="epoch_loss",
            says="Five rows in mini-batches of two, two and one, with very different losses and a tiny learning rate.",
            model=classifier([[1.0], [0.0]], Training(rate=STILL, batch=2)),
            rows=_rows(3.0, 3.0, 0.0, 0.0, -4.0),
            read=Reading("epoch losses"),
            given=("last_mini_batch",),
        ),
        Probe(
            assumption="first_epoch",
            says="Eight mini-batches of one row, each with a higher loss than the one before: in order, the losses "
            "rise.",
            model=classifier([[1.0], [0.0]], _shuffling(1)),
            rows=_rows(*EASY_TO_HARD),
            read=Reading("mini-batch losses"),
            digest="rising",
        ),
        Probe(
            assumption="shuffled",
            says="Twelve rows in mini-batches of three: if whole mini-batches are shuffled, the losses of both "
            "epochs are "
            "the same.",
            model=classifier([[1.0], [0.0]], _shuffling(2, batch=3)),
            rows=_rows(*UNEVEN),
            read=Reading("mini-batch losses"),
            digest="halves alike in any order",
        ),
        Probe(
            assumption="no_seed",
            says="Two updates of the same model without a seed: the losses show whether the rows have the same order.",
            model=classifier([[1.0], [0.0]], _shuffling(2, seed=None)),
            rows=_rows(*EASY_TO_HARD),
            updates=2,
            read=Reading("mini-batch losses"),
            digest="halves alike",
        ),
        Probe(
            assumption="generator",
            says="The same rows for two epochs: the losses show the order that a generator draws from the seed.",
            model=classifier([[1.0], [0.0]], _shuffling(2)),
            rows=_rows(*EASY_TO_HARD),
            read=Reading("mini-batch losses"),
            given=("first_epoch",),
            decisive=False,
        ),
        Probe(
            assumption="momentum",
            says="The learning rate falls to a tenth after the first epoch: a velocity still contains the old rate.",
            model=classifier([[0.0], [0.0]], Training(epochs=2, momentum=0.9)),
            rows=_rows(1.0),
            then={0: {"learningRate": 0.1}},
            query={"x": [1.0]},
            read=SCORES,
        ),
        Probe(
            assumption="adam_bias",
            says="One step: with bias correction, its length is the learning rate; without, (1 - beta1) / sqrt(1 - "
            "beta2) "
            "= 0.2 of it.",
            model=classifier([[0.0], [0.0]], Training(eps=1e-8)),
            rows=_rows(2.0),
            query={"x": [1.0]},
            read=SCORES,
        ),
        Probe(
            assumption="adam_eps",
            says="One step with eps half as large as the gradient: the place of eps in the formula decides how much it "
            "shortens the step.",
            model=classifier([[0.0], [0.0]], Training(rate=10.0, eps=0.5)),
            rows=_rows(2.0),
            query={"x": [1.0]},
            read=SCORES,
            given=("adam_bias",),
        ),
        Probe(
            assumption="squared_error",
            says="Four outputs, each too small by 1: the factor of the loss is also that of the step.",
            model=regressor([[0.0]] * 4, Training()),
            rows=({"x": [1.0], "scores_true": [1.0] * 4},),
            query={"x": [1.0]},
            read=SCORES,
        ),
    ]


def _rows(*values: float) -> tuple[Row, ...]:
    return tuple({"x": [value], "probabilities_true": [0.0]} for value in values)


def _shuffling(epochs: int, batch: int = 1, seed: int | None = 7) -> Training:
    return Training(rate=STILL, epochs=epochs, batch=batch, shuffle=True, seed=seed)
