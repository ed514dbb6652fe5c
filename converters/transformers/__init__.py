"""Hugging Face: classifiers for pictures, sound and text, from a folder with settings and safetensors, or by name."""

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest


def convert(request: SourceRequest) -> ConvertedSource:
    """Convert the classifier in the folder by tracing it with torch: ViT, MobileNetV2, AST, Wav2Vec2 or DistilBERT.

    The result computes ``softmax(model(...).logits)`` within 1e-4 in probability. Labels are those of id2label. What
    the folder's preprocessor does to values becomes part of the model: the scaling of pictures and of AST's
    spectrograms, Wav2Vec2's zero mean and unit variance; resizing, spectrograms and tokens remain the app's task.
    Nothing is downloaded unless the source is a name, "hub:OWNER/NAME". Code in the folder (``auto_map``) runs only
    with ``request.trust_code``: of pictures and text. Raises SourceError with one sentence.
    """
    from ..torch.finished import finished
    from ..torch.reproducible import reproducible
    from .folder import read_folder
    from .head import labels_for
    from .hub import PREFIX, downloaded_folder
    from .inputs import read_inputs
    from .module import module_of, quiet

    source = request.source
    by_name = isinstance(source, str) and source.startswith(PREFIX)
    folder = read_folder(
        downloaded_folder(source.removeprefix(PREFIX), request.trust_code) if by_name else source, request.trust_code
    )
    given = read_inputs(folder, request)
    reference = "the Hugging Face model"
    with reproducible(request.seed), quiet():
        module, facts = module_of(folder)
        return finished(
            module,
            given.inputs,
            given.request,
            reference,
            labels=labels_for(folder, request),
            rows=given.rows,
            facts=facts,
            inside=module.get_submodule("classifier"),
        )
