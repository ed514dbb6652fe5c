"""ONNX: classifiers whose operators onnx2torch knows, of opset 17 or brought to it by ONNX's own version converter."""

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """The graph in the file, or an ``onnx.ModelProto`` itself, as a torch module, traced.

    The result answers the output of the graph, of several the one named, within 1e-4 in probability, behind a
    softmax where this is logits, as onnx2torch computes it; one sigmoid or logit becomes two classes. Pictures
    reach it with the channels where its input has them, in the range that the graph's metadata, the type of its
    input or its first operators ask for. Weights in other files are read from the file's own folder only. Raises
    SourceError with one sentence, which names the operator that cannot be carried over and where it stands.
    """
    from ..torch.finished import finished
    from ..torch.reproducible import reproducible
    from .inputs import inputs_of
    from .module import brought_to_opset, module_of
    from .reading import read_graph

    with reproducible(request.seed):
        model = read_graph(request.source)
        taken = inputs_of(model, request)
        module = module_of(brought_to_opset(model), taken.inputs, taken.last)
        facts = {"producer": str(model.producer_name), "nodes": len(model.graph.node)}
        inside, name = module.get_submodule("carried"), "the ONNX graph in onnx2torch"
        return finished(module, taken.inputs, taken.request, name, notes=taken.notes, facts=facts, inside=inside)
