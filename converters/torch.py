"""PyTorch: any ``nn.Module``, and torchvision's and timm's architectures by name."""

from coreml_updatable.conversion import ConversionRequest, Converted


def convert(request: ConversionRequest) -> Converted:
    """The network of the recipe's [source], trained where its weights are new, as a ``neuralNetwork``.

    The model computes ``torch.softmax(network((pixels / 255 - mean) / std), dim=1)``, the network in evaluation mode,
    within 1e-4 in probability. It ends, as coremltools writes it, in ``innerProduct`` at rank 2 and ``softmaxND``; its
    features are the recipe's input and ``probabilities``, in the order of the labels. The same request gives the same
    bytes.
    Raises SourceError (RecipeError for the factory's own file) with one sentence for whatever a user can mend.
    """
    from .torch_facts import facts
    from .torch_loading import load_network
    from .torch_probabilities import probabilities
    from .torch_reproducible import reproducible
    from .torch_source import read_source
    from .torch_tracing import to_core_ml
    from .torch_training import train

    source = read_source(request.source)
    with reproducible(request.seed):
        network = load_network(source, request)
        history = train(network, request, source.training)
        model = to_core_ml(network, request.input)
        answers = probabilities(network, request.test.pixels)
        return Converted(model, answers, history, facts(network, source, history))
