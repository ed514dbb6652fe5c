"""The layouts of an updatable model: one network, a pipeline of two, or two files, which all predict the same.

Every conversion between layouts goes through the two parts, the frozen extractor and the trainable head.
"""

from coreml_updatable.marking.layouts.parts import FEATURES, Parts, from_pipeline, to_pipeline
from coreml_updatable.marking.layouts.precision import with_bits
from coreml_updatable.marking.layouts.single import to_single
from coreml_updatable.marking.layouts.split import from_files, from_single, to_files

__all__ = [
    "FEATURES",
    "Parts",
    "from_files",
    "from_pipeline",
    "from_single",
    "to_files",
    "to_pipeline",
    "to_single",
    "with_bits",
]
