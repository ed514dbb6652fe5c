"""Warn if the learning rate is so large that the first step overshoots.

On logits z = W x + b, the cross entropy of their softmax has the Hessian diag(p) - p p^T in z, whose largest
eigenvalue is at most 1/2 (D. Böhning, *Multinomial logistic regression algorithm*, 1992). In W and b together that
gives a curvature of at most L = (|x|^2 + 1) / 2, without a bias |x|^2 / 2. A step of gradient descent is sure to lower
the loss only for a rate below 2 / L (Y. Nesterov, *Introductory lectures on convex optimization*, 2004, 1.2.3), so on
features of length 1 for a rate below 2 with a bias and 4 without. The squared error of K outputs has L = |x|^2 + 1
when halved, and 2 (|x|^2 + 1) / K when averaged; Apple does not say which, so the milder is taken.

Adam's first step changes every weight by the rate itself, whatever the gradient (D. Kingma, J. Ba, *Adam*, 2015,
2.1), so on D features of length 1 together every logit by up to rate (sqrt(D) + 1). Two logits apart by ln(2^24) make
a probability that is 1 in 32-bit floats: from there the gradient is 0, and nothing is learned any more.
"""

from collections.abc import Iterator
from math import log, sqrt

from coreml_updatable.checking.loss import is_cross_entropy
from coreml_updatable.checking.parameters import optimizer_of
from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind, loss_blobs, producers
from coreml_updatable.spec.messages import Model, NeuralNetwork
from coreml_updatable.spec.network import network_of

_SATURATED = log(2**24)


def first_step_small(model: Model) -> Iterator[Finding]:
    """The learning rate is small enough that the first step cannot overshoot on features of length 1."""
    optimizer, head = optimizer_of(model), _head(network_of(model))
    if optimizer is None or head is None:
        return
    kind, rate = optimizer[0], optimizer[1].learningRate.defaultValue
    largest = largest_rate(kind, head, cross_entropy=is_cross_entropy(network_of(model)))
    if rate >= largest:
        yield Finding("learningRate", f"the default {rate:g} makes a step overshoot", f"below {largest:.2g}")


def largest_rate(optimizer: str, head: Model, *, cross_entropy: bool) -> float:
    """Return the rate from which a first step on features of length 1 overshoots; ``head``: InnerProductLayerParams."""
    bias = int(head.hasBias)
    if optimizer == "adamOptimizer":
        return _SATURATED / (2 * (sqrt(max(1, head.inputChannels)) + bias))
    return (4 if cross_entropy else max(2, int(head.outputChannels))) / (1 + bias)


def _head(network: NeuralNetwork) -> Model | None:
    """Return the updatable inner product that the loss reads, through its softmax or activation, or None."""
    loss, written = loss_blobs(network), producers(network.layers)
    index = written.get(loss[0]) if loss is not None else None
    if index is not None and layer_kind(network.layers[index]) in ("softmax", "activation"):
        last = network.layers[index]
        index = written.get(str(last.input[0])) if last.input else None
    if index is None or layer_kind(network.layers[index]) != "innerProduct":
        return None
    return network.layers[index].innerProduct if network.layers[index].isUpdatable else None
