// https://developer.apple.com/documentation/coreml: models, updates, parameters and errors.

public struct MLModelError: Error {
    public enum Code: Int, Sendable {
        case generic = 0, featureType = 1, io = 3, customLayer = 4, customModel = 5, update = 6, parameters = 7
        case modelDecryptionKeyFetch = 8, modelDecryption = 9, modelCollection = 10, predictionCancelled = 11
    }
    public let code: Code
    public let userInfo: [String: String]
    init(_ code: Code, userInfo: [String: String] = [:]) {
        self.code = code
        self.userInfo = userInfo
    }
}

open class MLKey: NSObject {
    public let name: String, scope: String?
    init(name: String, scope: String? = nil) {
        self.name = name
        self.scope = scope
    }
    open override func isEqual(_ object: Any?) -> Bool { (object as? MLKey).map { $0.name == name && $0.scope == scope } ?? false }
    open override var hash: Int { name.hashValue }
}

open class MLParameterKey: MLKey {
    public class var learningRate: MLParameterKey { .init(name: "learningRate") }
    public class var momentum: MLParameterKey { .init(name: "momentum") }
    public class var miniBatchSize: MLParameterKey { .init(name: "miniBatchSize") }
    public class var beta1: MLParameterKey { .init(name: "beta1") }
    public class var beta2: MLParameterKey { .init(name: "beta2") }
    public class var eps: MLParameterKey { .init(name: "eps") }
    public class var epochs: MLParameterKey { .init(name: "epochs") }
    public class var shuffle: MLParameterKey { .init(name: "shuffle") }
    public class var seed: MLParameterKey { .init(name: "seed") }
    public class var numberOfNeighbors: MLParameterKey { .init(name: "numberOfNeighbors") }
    public class var weights: MLParameterKey { .init(name: "weights") }
    public class var biases: MLParameterKey { .init(name: "biases") }
    open func scoped(to scope: String) -> MLParameterKey { .init(name: name, scope: scope) }
}

open class MLMetricKey: MLKey {
    public class var lossValue: MLMetricKey { .init(name: "lossValue") }
    public class var epochIndex: MLMetricKey { .init(name: "epochIndex") }
    public class var miniBatchIndex: MLMetricKey { .init(name: "miniBatchIndex") }
}

open class MLNumericConstraint: NSObject {
    public let minNumber: NSNumber, maxNumber: NSNumber, enumeratedNumbers: Set<NSNumber>?
    init(min: NSNumber, max: NSNumber, allowed: Set<NSNumber>?) {
        minNumber = min
        maxNumber = max
        enumeratedNumbers = allowed
    }
}

open class MLParameterDescription: NSObject {
    public let key: MLParameterKey, defaultValue: Any, numericConstraint: MLNumericConstraint?
    init(key: MLParameterKey, defaultValue: Any, numericConstraint: MLNumericConstraint?) {
        self.key = key
        self.defaultValue = defaultValue
        self.numericConstraint = numericConstraint
    }
}

public struct MLModelMetadataKey: Hashable, RawRepresentable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public static let author = Self(rawValue: "MLModelAuthorKey"), license = Self(rawValue: "MLModelLicenseKey")
    public static let description = Self(rawValue: "MLModelDescriptionKey"), versionString = Self(rawValue: "MLModelVersionStringKey")
    public static let creatorDefinedKey = Self(rawValue: "MLModelCreatorDefinedKey")
}

open class MLModelDescription: NSObject {
    public internal(set) var inputDescriptionsByName: [String: MLFeatureDescription] = [:]
    public internal(set) var outputDescriptionsByName: [String: MLFeatureDescription] = [:]
    public internal(set) var trainingInputDescriptionsByName: [String: MLFeatureDescription] = [:]
    public internal(set) var parameterDescriptionsByKey: [MLParameterKey: MLParameterDescription] = [:]
    public internal(set) var predictedFeatureName: String?, predictedProbabilitiesName: String?
    public internal(set) var metadata: [MLModelMetadataKey: Any] = [:]
    public internal(set) var classLabels: [Any]?
    public internal(set) var isUpdatable = false

    public override init() {}
    /// On Linux only: of a model that takes one picture of this format.
    public init(standInImage format: OSType) {
        inputDescriptionsByName = ["image": MLFeatureDescription(name: "image", type: .image, image: .init(high: 8, wide: 8, format: format))]
    }
}

public enum MLComputeUnits: Int, Sendable { case cpuOnly = 0, cpuAndGPU, all, cpuAndNeuralEngine }

open class MLModelConfiguration: NSObject {
    public override init() {}
    open var modelDisplayName: String?
    open var computeUnits = MLComputeUnits.all
    open var allowLowPrecisionAccumulationOnGPU = false
    open var parameters: [MLParameterKey: Any]?
}

open class MLPredictionOptions: NSObject { public override init() {} }

public protocol MLWritable: NSObjectProtocol { func write(to url: URL) throws }

open class MLModel: NSObject {
    public let modelDescription = MLModelDescription()
    public let configuration: MLModelConfiguration
    let file: URL  // the specification inside the compiled folder

    public convenience init(contentsOf url: URL) throws { try self.init(contentsOf: url, configuration: MLModelConfiguration()) }

    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        file = url.appendingPathComponent("model.mlmodel")
        self.configuration = configuration
        super.init()
        Self.loads.note(url.path)
        modelDescription.read(try ask(["do": "describe", "model": file.path]))
    }

    open class func load(contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()) async throws -> MLModel {
        try MLModel(contentsOf: url, configuration: configuration)
    }

    private static let loads = Loads()
    /// On Linux only: how often this compiled model has been loaded.
    public class func standInLoads(of url: URL) -> Int { loads.count(url.path) }

    private final class Loads: @unchecked Sendable {
        private let lock = NSLock()
        private var counts: [String: Int] = [:]
        func note(_ path: String) { lock.withLock { counts[path, default: 0] += 1 } }
        func count(_ path: String) -> Int { lock.withLock { counts[path] ?? 0 } }
    }

    open class func compileModel(at modelURL: URL) throws -> URL { try compiled(modelURL) }
    open class func compileModel(at modelURL: URL) async throws -> URL { try compiled(modelURL) }

    private class func compiled(_ source: URL) throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlmodelc")
        _ = try ask(["do": "describe", "model": source.path])
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: source, to: folder.appendingPathComponent("model.mlmodel"))
        return folder
    }

    open func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider { try answer(input) }
    open func prediction(from input: any MLFeatureProvider, options: MLPredictionOptions) throws -> any MLFeatureProvider {
        try answer(input)
    }
    open func predictions(fromBatch inputBatch: any MLBatchProvider) throws -> any MLBatchProvider {
        MLArrayBatchProvider(array: try (0..<inputBatch.count).map { try answer(inputBatch.features(at: $0)) })
    }
    open func parameterValue(for key: MLParameterKey) throws -> Any { throw MLModelError(.parameters) }

    private func answer(_ row: any MLFeatureProvider) throws -> any MLFeatureProvider {
        let answer = try ask(["do": "predict", "model": file.path, "row": json(row)])["row"] as? [String: Any] ?? [:]
        return try MLDictionaryFeatureProvider(dictionary: answer.mapValues(value))
    }
}

/// Apple's MLModel is not MLWritable; only what an update hands out is.
final class UpdatedModel: MLModel, MLWritable {
    func write(to url: URL) throws {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        try Data(contentsOf: file).write(to: url.appendingPathComponent("model.mlmodel"))
    }
}

public struct MLUpdateProgressEvent: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let trainingBegin = Self(rawValue: 1 << 0), epochEnd = Self(rawValue: 1 << 1), miniBatchEnd = Self(rawValue: 1 << 2)
}

public enum MLTaskState: Int, Sendable { case suspended = 1, running, cancelling, completed, failed }

open class MLTask: NSObject {
    public let taskIdentifier = UUID().uuidString
    let lock = NSLock()
    var stateNow = MLTaskState.suspended
    var errorNow: (any Error)?
    public var state: MLTaskState { lock.withLock { stateNow } }
    public var error: (any Error)? { lock.withLock { errorNow } }
    open func resume() {}
    open func cancel() {}
}

open class MLUpdateProgressHandlers: NSObject {
    let events: MLUpdateProgressEvent, progress: ((MLUpdateContext) -> Void)?, completion: (MLUpdateContext) -> Void
    public init(
        forEvents interestedEvents: MLUpdateProgressEvent, progressHandler: ((MLUpdateContext) -> Void)?,
        completionHandler: @escaping (MLUpdateContext) -> Void
    ) {
        events = interestedEvents
        progress = progressHandler
        completion = completionHandler
    }
}

open class MLUpdateContext: NSObject {
    public let task: MLUpdateTask, model: any MLModel & MLWritable, event: MLUpdateProgressEvent
    public let metrics: [MLMetricKey: Any], parameters: [MLParameterKey: Any]
    init(
        task: MLUpdateTask, model: any MLModel & MLWritable, event: MLUpdateProgressEvent, metrics: [MLMetricKey: Any],
        parameters: [MLParameterKey: Any]
    ) {
        self.task = task
        self.model = model
        self.event = event
        self.metrics = metrics
        self.parameters = parameters
    }
}

open class MLUpdateTask: MLTask {
    let model: UpdatedModel, data: any MLBatchProvider, handlers: MLUpdateProgressHandlers
    private var wanted: [String: Any] = [:], started = false

    public init(
        forModelAt modelURL: URL, trainingData: any MLBatchProvider, configuration: MLModelConfiguration?,
        progressHandlers: MLUpdateProgressHandlers
    ) throws {
        model = try UpdatedModel(contentsOf: modelURL, configuration: configuration ?? MLModelConfiguration())
        guard model.modelDescription.isUpdatable else { throw MLModelError(.update) }
        data = trainingData
        handlers = progressHandlers
    }

    public convenience init(
        forModelAt modelURL: URL, trainingData: any MLBatchProvider, configuration: MLModelConfiguration?,
        completionHandler: @escaping (MLUpdateContext) -> Void
    ) throws {
        try self.init(
            forModelAt: modelURL, trainingData: trainingData, configuration: configuration,
            progressHandlers: MLUpdateProgressHandlers(forEvents: [], progressHandler: nil, completionHandler: completionHandler))
    }

    open override func cancel() { lock.withLock { if stateNow == .running || stateNow == .suspended { stateNow = .cancelling } } }

    open func resume(withParameters updateParameters: [MLParameterKey: Any]) {
        lock.withLock { for (key, value) in updateParameters { wanted[key.name] = value } }
    }

    open override func resume() {
        let first = lock.withLock {
            defer { started = true }
            if !started { stateNow = .running }
            return !started
        }
        guard first else { return }
        nonisolated(unsafe) let task = self  // what changes is under the lock
        Thread { task.run() }.start()  // as in Core ML: on a queue of its own, alive until it is done
    }

    private func context(_ model: UpdatedModel, _ event: MLUpdateProgressEvent, _ line: [String: Any]) -> MLUpdateContext {
        let metrics = (line["metrics"] as? [String: Any] ?? [:]).map { (MLMetricKey(name: $0.key), $0.value) }
        let parameters = (line["parameters"] as? [String: Any] ?? [:]).map { (MLParameterKey(name: $0.key), $0.value) }
        return MLUpdateContext(
            task: self, model: model, event: event, metrics: Dictionary(uniqueKeysWithValues: metrics),
            parameters: Dictionary(uniqueKeysWithValues: parameters))
    }

    private func run() {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlmodelc")
        defer { try? FileManager.default.removeItem(at: folder) }
        let events: [String: MLUpdateProgressEvent] = [
            "trainingBegin": .trainingBegin, "epochEnd": .epochEnd, "miniBatchEnd": .miniBatchEnd,
        ]
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let parameters = (model.configuration.parameters ?? [:]).map { ($0.key.name, $0.value) }
            let question: [String: Any] = [
                "do": "update", "model": model.file.path, "rows": (0..<data.count).map { json(data.features(at: $0)) },
                "parameters": Dictionary(uniqueKeysWithValues: parameters),
                "to": folder.appendingPathComponent("model.mlmodel").path,
            ]
            let last = try ask(question) { line in
                if let event = events[line["event"] as? String ?? ""], handlers.events.contains(event) {
                    handlers.progress?(context(model, event, line))
                }
                return lock.withLock {
                    defer { wanted = [:] }
                    return ["cancel": stateNow == .cancelling, "parameters": wanted]
                }
            }
            let completed = lock.withLock {
                stateNow = stateNow == .cancelling ? .failed : .completed
                return stateNow == .completed
            }
            // Core ML calls no completion handler after a cancel.
            if completed { handlers.completion(context(try UpdatedModel(contentsOf: folder), [], last)) }
        } catch {
            let cancelled = lock.withLock {
                defer { stateNow = .failed }
                errorNow = error
                return stateNow == .cancelling
            }
            if !cancelled { handlers.completion(context(model, [], [:])) }
        }
    }
}
