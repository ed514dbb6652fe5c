"""The few lines an app needs, with the model's own names."""


def update_snippet(image: str, label: str) -> str:
    """Swift that trains a model with its owner's photos and writes the personal one; ``image``, ``label``: features."""
    return f"""import CoreML

/// Trains the compiled model at `base` with photos their owner calls `label`; the personal model goes to `personal`.
func personalize(base: URL, photos: [URL], label: String, personal: URL,
                 done: @escaping (Error?) -> Void) throws {{
    let inputs = try MLModel(contentsOf: base).modelDescription.inputDescriptionsByName
    guard let constraint = inputs[{_literal(image)}]?.imageConstraint else {{ throw CocoaError(.featureUnsupported) }}
    let rows = try photos.map {{ photo in
        try MLDictionaryFeatureProvider(dictionary: [
            {_literal(image)}: MLFeatureValue(imageAt: photo, constraint: constraint),
            {_literal(label)}: MLFeatureValue(string: label),
        ])
    }}
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


def _literal(text: str) -> str:
    """A Swift string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
