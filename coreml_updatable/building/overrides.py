"""What the command line changes in a recipe: another source network, and the weights it starts from."""

from pathlib import Path

from coreml_updatable.building.recipe import ArraySection, Recipe
from coreml_updatable.errors import RecipeError

PRETRAINED_SIZE = 224  # pixels; what nearly every ImageNet network was trained on
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def with_backbone(recipe: Recipe, backbone: str | None, weights: Path | None) -> Recipe:
    """``recipe`` with its own network replaced by ``backbone``, its weights from the file ``weights`` or downloaded.

    ``backbone`` is "torchvision:NAME" or "timm:NAME"; the input becomes 224 x 224 RGB pixels.
    """
    if backbone is None and weights is None:
        return recipe
    source = recipe.source
    fields = source.options()
    image = recipe.input
    if backbone is not None and isinstance(image, ArraySection):
        raise RecipeError(
            f"--backbone {backbone}: takes pictures, the recipe's input {image.name!r} is an array; leave it out"
        )
    if backbone is not None:
        fields.pop("factory", None)
        fields = {**IMAGENET, **fields, "architecture": backbone, "weights": "pretrained"}
        image = image.model_copy(update={"width": PRETRAINED_SIZE, "height": PRETRAINED_SIZE, "color": "rgb"})
    if weights is not None:
        fields["weights"] = str(weights.resolve())
    changed = type(source).model_validate({"converter": source.converter, **fields})
    return recipe.model_copy(update={"source": changed, "input": image})
