"""Keras: classifiers in .keras and .h5 files, also from Keras 2, read by Keras 3 on torch, without TensorFlow."""

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """Convert the model in the file, or a ``keras.Model``, by tracing it with torch.

    The result computes ``model(inputs, training=False)`` within 1e-4 in probability, with a softmax added if these are
    logits; one sigmoid or logit becomes two classes, no and yes. Pictures have the size of the
    model's input and are scaled by ``request.mean`` and ``std``. If these are empty, pixels are 0..255 if a layer
    scales them, else 0..1. Nothing in the file runs as code without ``request.trust_code``: Lambda layers and
    classes from outside Keras are refused. Raises SourceError with one sentence.
    """
    from ..torch.finished import finished
    from ..torch.reproducible import reproducible
    from .inputs import inputs_of
    from .module import module_of
    from .reading import read_model

    with reproducible(request.seed):
        model = read_model(request.source, request.trust_code)
        inputs = inputs_of(model, request.inputs)
        facts = {"model": model.name, "layers": len(model.layers)}
        module = module_of(model, inputs, request.cut, features=request.head == "new")
        return finished(module, inputs, request, "the Keras model", facts=facts, in_front_of=request.cut)
