"""The few lines an app needs, with the model's own names."""

import re
from collections.abc import Sequence

from coreml_updatable.text import visible

# Words of the language that cannot be the name of a case, and what every enum of strings has.
RESERVED = frozenset(
    (
        *("any", "as", "associatedtype", "break", "case", "catch", "class", "continue", "default", "defer", "deinit"),
        *("do", "else", "enum", "extension", "fallthrough", "false", "fileprivate", "for", "func", "guard", "if"),
        *("import", "in", "init", "inout", "internal", "is", "let", "nil", "operator", "precedencegroup", "private"),
        *("protocol", "public", "repeat", "rethrows", "return", "self", "static", "struct", "subscript", "super"),
        *("switch", "throw", "throws", "true", "try", "typealias", "var", "where", "while", "hash"),
    )
)


def update_snippet(given: str, label: str, *, array: bool = False) -> str:
    """Swift that trains a model with its owner's photos and writes the personal one; ``given``, ``label``: features.

    With ``array``, the input is a multi-array, and so are the owner's examples.
    """
    what = "arrays" if array else "photos"
    return f"""import CoreML

/// Trains the compiled model at `base` with {what} their owner calls `label`;
/// the personal model goes to `personal`.
{_rows_of_arrays(given, label) if array else _rows_of_photos(given, label)}
    let task = try MLUpdateTask(forModelAt: base, trainingData: MLArrayBatchProvider(array: rows),
                                configuration: nil) {{ context in
        do {{
            if let error = context.task.error {{ throw error }}
            try context.model.write(to: personal)
            done(nil)
        }} catch {{ done(error) }}
    }}
    task.resume()
}}
// To reset: delete the file at `personal`, and load `base` again.
"""


def _rows_of_photos(image: str, label: str) -> str:
    return f"""func personalize(base: URL, photos: [URL], label: String, personal: URL,
                 done: @escaping (Error?) -> Void) throws {{
    let inputs = try MLModel(contentsOf: base).modelDescription.inputDescriptionsByName
    guard let constraint = inputs[{literal(image)}]?.imageConstraint else {{ throw CocoaError(.featureUnsupported) }}
    let rows = try photos.map {{ photo in
        try MLDictionaryFeatureProvider(dictionary: [
            {literal(image)}: MLFeatureValue(imageAt: photo, constraint: constraint),
            {literal(label)}: MLFeatureValue(string: label),
        ])
    }}"""


def _rows_of_arrays(name: str, label: str) -> str:
    return f"""func personalize(base: URL, values: [MLMultiArray], label: String, personal: URL,
                 done: @escaping (Error?) -> Void) throws {{
    let rows = try values.map {{ value in
        try MLDictionaryFeatureProvider(dictionary: [
            {literal(name)}: MLFeatureValue(multiArray: value),
            {literal(label)}: MLFeatureValue(string: label),
        ])
    }}"""


def literal(text: str) -> str:
    """A Swift string literal."""
    return f'"{"".join(_escaped(character) for character in text)}"'


def case_names(labels: Sequence[str]) -> list[str]:
    """A name for each label as a case of an enum: "fast-food" is fastFood; what gives no name is label1, label2, ..."""
    names: list[str] = []
    for index, label in enumerate(labels, start=1):
        words = re.findall(r"[A-Za-z0-9]+", label)
        name = "".join([word.lower() if place == 0 else word.capitalize() for place, word in enumerate(words)])
        whole = "".join(re.findall(r"[A-Za-z0-9\W_]", label)) == label and label.isascii()
        if not whole or not name[:1].isalpha() or name in RESERVED or name in names:
            name = f"label{index}"
        names.append(name)
    return names


def _escaped(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    if visible(character) == character:
        return character
    code = 0xFFFD if 0xD800 <= ord(character) < 0xE000 else ord(character)  # Swift has no half of a pair
    return f"\\u{{{code:x}}}"
