import CoreML

/// How an update is run. What is nil is left to the model's defaults.
public struct Plan: Sendable {
    public var epochs: Int?
    public var miniBatchSize: Int?
    public var learningRate: Double?
    public var momentum: Double?
    public var shuffle: Bool?
    public var seed: Int?
    /// Of a k-NN.
    public var numberOfNeighbors: Int?
    /// Whether a network learns the base's replay set as well, where there is one (``Base/replay``).
    public var mixesReplay: Bool
    /// Asked at the end of each epoch for the learning rate of the next one; nil keeps it.
    public var schedule: (@Sendable (LearningProgress) -> Double?)?

    public init(
        epochs: Int? = nil, miniBatchSize: Int? = nil, learningRate: Double? = nil, momentum: Double? = nil, shuffle: Bool? = nil,
        seed: Int? = nil, numberOfNeighbors: Int? = nil, mixesReplay: Bool = true, schedule: (@Sendable (LearningProgress) -> Double?)? = nil
    ) {
        self.epochs = epochs
        self.miniBatchSize = miniBatchSize
        self.learningRate = learningRate
        self.momentum = momentum
        self.shuffle = shuffle
        self.seed = seed
        self.numberOfNeighbors = numberOfNeighbors
        self.mixesReplay = mixesReplay
        self.schedule = schedule
    }

    /// For MLModelConfiguration; throws where the model does not allow a value, which Core ML would say later and less clearly.
    func parameters(for model: MLModelDescription) throws -> [MLParameterKey: Any] {
        var parameters: [MLParameterKey: Any] = [:]
        let numbers: [(MLParameterKey, (any Numeric & Sendable)?)] = [
            (.epochs, epochs), (.miniBatchSize, miniBatchSize), (.learningRate, learningRate), (.momentum, momentum), (.seed, seed),
            (.numberOfNeighbors, numberOfNeighbors),
        ]
        for case (let key, let value?) in numbers {
            let number = (value as? Double) ?? Double(value as? Int ?? 0)
            // An app has reported that a loaded model describes no parameters before an update: then Core ML judges alone.
            if model.parameterDescriptionsByKey.isEmpty {
                parameters[key] = value
                continue
            }
            guard let description = model.parameterDescriptionsByKey[key] else {
                throw PersonalizationError.parameterNotAllowed(key.name, value: number, allowed: "no value, because the model has none")
            }
            if let constraint = description.numericConstraint {
                let allowed = constraint.enumeratedNumbers.map { $0.map(\.doubleValue).sorted() } ?? []
                let fits = allowed.isEmpty
                    ? (constraint.minNumber.doubleValue...constraint.maxNumber.doubleValue).contains(number) : allowed.contains(number)
                guard fits else {
                    let words = allowed.isEmpty
                        ? "\(constraint.minNumber) to \(constraint.maxNumber)" : allowed.map { "\($0)" }.joined(separator: ", ")
                    throw PersonalizationError.parameterNotAllowed(key.name, value: number, allowed: words)
                }
            }
            parameters[key] = value
        }
        if let shuffle { parameters[.shuffle] = shuffle }
        return parameters
    }
}

/// What an update reports at the end of an epoch. A k-NN reports once, with neither loss nor rate.
public struct LearningProgress: Equatable, Sendable {
    /// The number of epochs that have ended.
    public let epoch: Int
    public let epochs: Int?
    public let loss: Double?
    public let learningRate: Double?
}
