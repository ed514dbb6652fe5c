"""From the recipe's update and knn tables to the settings that marking takes."""

from coreml_updatable.building import parameters, recipe
from coreml_updatable.marking.settings import (
    SGD,
    Adam,
    DoubleParameter,
    Int64Parameter,
    KNNSettings,
    UpdateSettings,
)


def update_settings(section: recipe.SGDSection | recipe.AdamSection) -> UpdateSettings:
    return UpdateSettings(_optimizer(section), _int64(section.epochs), section.shuffle, section.seed)


def knn_settings(section: recipe.KNNSection) -> KNNSettings:
    return KNNSettings(
        number_of_neighbors=_int64(section.number_of_neighbors),
        weighting=section.weighting,
        index=section.index,
        leaf_size=section.leaf_size,
        default_label=section.default_label,
    )


def _optimizer(section: recipe.SGDSection | recipe.AdamSection) -> SGD | Adam:
    rate, batch = _double(section.learning_rate), _int64(section.mini_batch_size)
    if isinstance(section, recipe.SGDSection):
        return SGD(rate, batch, _double(section.momentum))
    return Adam(rate, batch, _double(section.beta1), _double(section.beta2), _double(section.eps))


def _int64(parameter: parameters.Int64Parameter) -> Int64Parameter:
    return Int64Parameter(parameter.default, parameter.range, parameter.allowed)


def _double(parameter: parameters.DoubleParameter) -> DoubleParameter:
    return DoubleParameter(parameter.default, parameter.range)
