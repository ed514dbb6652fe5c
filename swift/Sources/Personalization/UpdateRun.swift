import CoreML

/// One MLUpdateTask, which may be cancelled from any thread. Core ML calls its handlers on a queue of its own, and calls none
/// after a cancel; whoever waits here is always answered, once.
final class UpdateRun: @unchecked Sendable {
    private let lock = NSLock()
    private let save: @Sendable (any MLModel & MLWritable) throws -> Void
    private var task: MLUpdateTask?
    private var waiting: CheckedContinuation<Void, any Error>?
    private var isCancelled = false
    private var isSaved = false

    /// `save` writes what the update made; it is not called after a cancel.
    init(save: @escaping @Sendable (any MLModel & MLWritable) throws -> Void) { self.save = save }

    /// Too late once the result is saved: then the update has ended well.
    func cancel() {
        let (isLate, task) = lock.withLock {
            isCancelled = !isSaved
            return (isSaved, self.task)
        }
        guard !isLate else { return }
        task?.cancel()  // outside of the lock, in case Core ML calls a handler from here
        answer(.failure(CancellationError()))
    }

    /// Resumes `continuation` when the update has ended and was saved, or failed, or was cancelled.
    func start(
        base: URL, rows: LessonBatch, parameters: [MLParameterKey: Any], epochs: Int?,
        schedule: (@Sendable (LearningProgress) -> Double?)?, progress: @escaping @Sendable (LearningProgress) -> Void,
        events: UpdateEvents?, continuation: CheckedContinuation<Void, any Error>
    ) {
        lock.withLock { waiting = continuation }
        let failure = rows.failure
        let onProgress: @Sendable (MLUpdateContext) -> Void = { context in
            events?.note(context)
            guard context.event == .epochEnd else { return }
            let report = LearningProgress(
                epoch: (context.metrics[.epochIndex] as? Int ?? 0) + 1, epochs: epochs, loss: context.metrics[.lossValue] as? Double,
                learningRate: context.parameters[.learningRate] as? Double)
            progress(report)
            if let rate = schedule?(report) { context.task.resume(withParameters: [.learningRate: rate]) }
        }
        let onCompletion: @Sendable (MLUpdateContext) -> Void = { [self] context in
            answer(
                Result {
                    if let error = failure.error { throw error }
                    if let error = context.task.error { throw PersonalizationError.coreML("\(error)") }
                    try lock.withLock {
                        if isCancelled { throw CancellationError() }
                        try save(context.model)
                        isSaved = true
                    }
                })
        }
        do {
            let configuration = MLModelConfiguration()
            configuration.parameters = parameters
            let handlers = MLUpdateProgressHandlers(
                forEvents: events == nil ? .epochEnd : [.epochEnd, .miniBatchEnd], progressHandler: onProgress, completionHandler: onCompletion)
            let task = try MLUpdateTask(forModelAt: base, trainingData: rows, configuration: configuration, progressHandlers: handlers)
            let proceed = lock.withLock {
                self.task = task
                return !isCancelled
            }
            if proceed { task.resume() } else { answer(.failure(CancellationError())) }
        } catch {
            answer(.failure(PersonalizationError.coreML("\(error)")))
        }
    }

    private func answer(_ result: Result<Void, any Error>) {
        let waiting = lock.withLock {
            defer {
                self.waiting = nil
                task = nil
            }
            return self.waiting
        }
        waiting?.resume(with: result)
    }
}

/// The losses of an update, event by event, for golden vectors.
package final class UpdateEvents: @unchecked Sendable {
    private let lock = NSLock()
    private var noted: [String: [Double]] = [:]

    package init() {}

    /// By the names of the golden vectors.
    package var losses: [String: [Double]] { lock.withLock { noted } }

    func note(_ context: MLUpdateContext) {
        let names: [(MLUpdateProgressEvent, String)] = [(.epochEnd, "epochEnd"), (.miniBatchEnd, "miniBatchEnd")]
        for (event, name) in names where context.event == event {
            lock.withLock { noted[name, default: []].append(context.metrics[.lossValue] as? Double ?? .nan) }
        }
    }
}

/// The lessons as Core ML asks for them: one at a time, so that ten thousand need no more memory than one.
final class LessonBatch: MLBatchProvider {
    /// Core ML's protocol cannot throw: the first failure is kept, and ends the update.
    final class Failure: @unchecked Sendable {
        private let lock = NSLock()
        private var first: (any Error)?
        var error: (any Error)? { lock.withLock { first } }
        func keep(_ error: any Error) { lock.withLock { first = first ?? error } }
    }

    let count: Int
    let failure = Failure()
    private let row: (Int) throws -> any MLFeatureProvider

    init(count: Int, row: @escaping (Int) throws -> any MLFeatureProvider) {
        self.count = count
        self.row = row
    }

    func features(at index: Int) -> any MLFeatureProvider {
        do {
            return try row(index)
        } catch {
            failure.keep(error)
            // No features: Core ML ends the update with an error.
            return NoFeatures()
        }
    }
}

private final class NoFeatures: MLFeatureProvider {
    let featureNames: Set<String> = []
    func featureValue(for featureName: String) -> MLFeatureValue? { nil }
}
