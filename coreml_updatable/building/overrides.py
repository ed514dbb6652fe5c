"""What the command line changes in a recipe: another source network, and the weights it starts from."""

from pathlib import Path
from typing import Any

from coreml_updatable.converting.registry import declared_by, find_converter
from coreml_updatable.errors import RecipeError
from coreml_updatable.recipes.recipe import ArraySection, Recipe

OF_THE_NETWORK = ("factory", "mean", "std")  # fields that say something of the recipe's own network only
OF_ITS_TRAINING = ("embedding", "extractor_learns", "head_decay")  # the same, of [source.training]
OWN = "none"  # a backbone that is none: the recipe's own network


def backbone_for(recipe: Recipe, backbone: str | None, weights: Path | None, photos: bool) -> str | None:
    """The backbone that takes the place of the recipe's own network; None: nothing does.

    Where ``photos`` of the user's are given and neither a backbone nor weights, the recipe's own choice for them.
    """
    if backbone is None and weights is None and photos:
        backbone = recipe.data.backbone
    return None if backbone == OWN else backbone


def with_backbone(recipe: Recipe, backbone: str | None, weights: Path | None, photos: bool = False) -> Recipe:
    """``recipe`` with its own network replaced by ``backbone``, its weights from the file ``weights`` or downloaded.

    ``backbone`` is "efficientnet_lite0", "torchvision:NAME", "timm:NAME" or "none". Where there are ``photos`` and
    neither is given, it is the recipe's ``data.backbone``. The input becomes RGB pixels of the size that its weights
    declare, and their own mean and deviation apply; none of what the recipe says of its own network does.
    """
    backbone = backbone_for(recipe, backbone, weights, photos)
    if backbone is None and weights is None:
        return recipe
    source, image = recipe.source, recipe.input
    fields = source_fields(recipe, backbone)
    if weights is not None:
        fields["weights"] = str(weights.resolve())
    if backbone is not None and not isinstance(image, ArraySection):
        declared = declared_by(find_converter(source.converter), fields)
        if declared is None:
            raise RecipeError(
                f"--backbone {backbone}: the recipe's converter {source.converter!r} has no architectures; omit the "
                "option"
            )
        image = image.model_copy(update={"width": declared.width, "height": declared.height, "color": "rgb"})
    changed = type(source).model_validate({"converter": source.converter, **fields})
    knn = recipe.knn if backbone is None else recipe.knn.model_copy(update={"samples_per_kind": None})
    return recipe.model_copy(update={"source": changed, "input": image, "knn": knn})


def source_fields(recipe: Recipe, backbone: str | None) -> dict[str, Any]:
    """The fields of the recipe's [source] with ``backbone`` in the place of its own network; needs no library."""
    fields = recipe.source.options()
    if backbone is None:
        return fields
    if isinstance(recipe.input, ArraySection):
        raise RecipeError(
            f"--backbone {backbone}: takes pictures, but the recipe's input {recipe.input.name!r} is an array; omit "
            "the option"
        )
    own = {name: value for name, value in fields.items() if name not in OF_THE_NETWORK}
    if isinstance(own.get("training"), dict):
        own["training"] = {name: value for name, value in own["training"].items() if name not in OF_ITS_TRAINING}
    return {**own, "architecture": backbone, "weights": "pretrained"}
