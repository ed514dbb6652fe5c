"""Make a network updatable: repair its tail, mark its layers, name its features, and build its k-NN variant."""

from coreml_updatable.marking.classifier import as_classifier, check_labels
from coreml_updatable.marking.extractor import embedding_length, extractor, has_head, whole_extractor
from coreml_updatable.marking.features import describe, rename_features
from coreml_updatable.marking.knn import expect_label, knn_variant, with_samples
from coreml_updatable.marking.marking import Marked, Wishes, mark, marked
from coreml_updatable.marking.names import name_layers
from coreml_updatable.marking.repair import repair_tail
from coreml_updatable.spec.samples import sample_counts, samples_of

__all__ = [
    "Marked",
    "Wishes",
    "as_classifier",
    "check_labels",
    "describe",
    "embedding_length",
    "expect_label",
    "extractor",
    "has_head",
    "knn_variant",
    "mark",
    "marked",
    "name_layers",
    "rename_features",
    "repair_tail",
    "sample_counts",
    "samples_of",
    "whole_extractor",
    "with_samples",
]
