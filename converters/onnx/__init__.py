"""ONNX: classifiers with operators that onnx2torch supports, of opset 17 or converted to it by ONNX."""

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """Convert the graph in the file, or an ``onnx.ModelProto``, by tracing it as a torch module.

    The result computes the output of the graph (if there are several, the named one) within 1e-4 in probability, with a
    softmax added for logits, as onnx2torch computes it; one sigmoid or logit becomes two classes. Pictures
    have their channels where its input has them, in the range that the graph's metadata, the type of its
    input or its first operators require. Weights in other files are only read from the same folder. Raises
    SourceError with one sentence, which names an unsupported operator and its place.
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
