import CoreML
import os

/// What a model answers.
public struct Answer: Equatable, Sendable {
    public let label: String
    /// Of each label; a k-NN may know labels that its base did not.
    public let probabilities: [String: Double]
}

/// A base model and what its owner taught it.
///
/// The owner's lessons are stored as they come (`remember(_:as:)`) and learned together, always from the base
/// (``learn(_:)``): so ``forget(_:)`` really unlearns, and a newer base learns the same lessons (``rebase(on:plan:)``).
/// A network, a k-NN and a split of extractor and head look the same from outside. One update runs at a time; predictions go on
/// meanwhile with the model as it was.
public actor PersonalModel {
    /// The model that nobody has personalized.
    public private(set) var base: Base

    private let store: LessonStore
    private let generations: Generations
    private let log = Logger(subsystem: "Personalization", category: "PersonalModel")
    private var loaded: (generation: String?, model: Loaded)?
    private var isLearning = false

    /// Opens the personal model in `folder`, which is created where it is missing; each model needs a folder of its own.
    ///
    /// If `base` is not the base that the lessons were learned on, answers come from `base` alone until ``learn(_:)`` or
    /// ``rebase(on:plan:)``: see ``needsLearning``.
    public init(_ base: Base, folder: URL, storage: Storage = Storage(), limits: LessonLimits = LessonLimits()) throws {
        self.base = base
        try storage.createFolder(folder)
        store = LessonStore(folder: folder, storage: storage, limits: limits)
        generations = Generations(folder: folder, storage: storage)
        let manifest = try store.manifest(model: base.id.name, base: base.sha256)
        generations.removeLeftovers(all: manifest.lessons.isEmpty)
    }

    // MARK: Answers

    /// The labels of the base. A k-NN learns further ones.
    public var labels: [String] { get throws { try current().labels } }

    /// Answers one input with the personal model, or with the base where there is none.
    public func predict(_ input: Input) throws -> Answer {
        let model = try current()
        return try model.answer(model.input.example(input))
    }

    // MARK: Lessons

    /// The lessons, oldest first.
    public var lessons: [Lesson] { get throws { try manifest().lessons } }

    /// Whether there are lessons, or forgotten ones, that the personal model does not reflect yet.
    public var needsLearning: Bool {
        get throws {
            let learned = try generations.current(of: base.sha256)?.lessons ?? []
            return try Set(manifest().lessons.map(\.id)) != Set(learned)
        }
    }

    /// Stores an example; the next ``learn(_:)`` uses it.
    @discardableResult
    public func remember(_ input: Input, as label: String) throws -> Lesson {
        let model = try current()
        guard model.canLearn(label) else {
            throw PersonalizationError.unknownLabel(label, known: model.labels)
        }
        let example = try model.input.example(input)
        return try change { try store.add(example, as: label, to: &$0) }
    }

    /// The same with a case of an enum of labels.
    @discardableResult
    public func remember<Label: RawRepresentable & Sendable>(_ input: Input, as label: Label) throws -> Lesson
    where Label.RawValue == String {
        try remember(input, as: label.rawValue)
    }

    /// The example of a lesson, to show it or to export it.
    public func example(of id: Lesson.ID) throws -> Example { try store.example(lesson(id)) }

    /// Removes a lesson and its example. The personal model forgets it with the next ``learn(_:)``; with no lesson left, at once.
    public func forget(_ id: Lesson.ID) throws {
        _ = try lesson(id)
        let remove = { try self.change { $0.lessons.removeAll { $0.id == id } } }
        if try manifest().lessons.count == 1 { try unlearn(remove) } else { try remove() }
    }

    /// Removes all lessons: the base answers again.
    public func reset() throws {
        guard !isLearning else { throw PersonalizationError.alreadyLearning }
        try unlearn { try change { $0.lessons = [] } }
    }

    // MARK: Learning

    /// Trains the base on all lessons and saves the result, which answers from then on.
    ///
    /// Leaving the loop, or cancelling the task that runs it, cancels the update and leaves the model as it was.
    public nonisolated func learn(_ plan: Plan = Plan()) -> AsyncThrowingStream<LearningProgress, any Error> {
        progress { try await self.update(onto: nil, plan, nil, $0) }
    }

    /// The same, for golden vectors.
    package nonisolated func learn(_ plan: Plan, noting events: UpdateEvents) -> AsyncThrowingStream<LearningProgress, any Error> {
        progress { try await self.update(onto: nil, plan, events, $0) }
    }

    /// Trains a newer base on the same lessons, and continues with it. Until that has ended, the old one answers.
    public nonisolated func rebase(on newer: Base, plan: Plan = Plan()) -> AsyncThrowingStream<LearningProgress, any Error> {
        progress { try await self.update(onto: newer, plan, nil, $0) }
    }

    private nonisolated func progress(
        _ work: @escaping @Sendable (@escaping @Sendable (LearningProgress) -> Void) async throws -> Void
    ) -> AsyncThrowingStream<LearningProgress, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    try await work { continuation.yield($0) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { if case .cancelled = $0 { task.cancel() } }
        }
    }

    private func update(
        onto newer: Base?, _ plan: Plan, _ events: UpdateEvents?, _ progress: @escaping @Sendable (LearningProgress) -> Void
    ) async throws {
        guard !isLearning else { throw PersonalizationError.alreadyLearning }
        let target = newer ?? base
        if newer != nil, target.id.name != base.id.name {
            throw PersonalizationError.otherModel(found: target.id.name, expected: base.id.name)
        }
        let lock = try FileLock(generations.lockFile, wait: false)
        isLearning = true
        defer { isLearning = false }
        let lessons = try manifest().lessons
        if lessons.isEmpty {
            guard newer != nil else { throw PersonalizationError.noLessons }
        } else {
            let model = try plain(target)
            if let strange = lessons.first(where: { !model.canLearn($0.label) }) {
                throw PersonalizationError.unknownLabel(strange.label, known: model.labels)
            }
            let description = model.description
            let epochs = plan.epochs ?? description.parameterDescriptionsByKey[.epochs]?.defaultValue as? Int
            let replay = plan.mixesReplay && !model.learnsNewLabels ? try target.replay.map(ReplaySet.init(contentsOf:)) : nil
            let batch = LessonBatch(count: lessons.count + (replay?.count ?? 0)) { [store] in
                if let replay, $0 >= lessons.count { return try replay.row($0 - lessons.count, for: model) }
                return try model.trainingRow(store.example(lessons[$0]), label: lessons[$0].label)
            }
            let parameters = try plan.parameters(for: description)
            let ids = lessons.map(\.id)
            let run = UpdateRun { [generations] in try generations.save($0, base: target.sha256, lessons: ids) }
            try Task.checkCancellation()
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation {
                    run.start(
                        base: target.model, rows: batch, parameters: parameters, epochs: epochs, schedule: plan.schedule,
                        progress: progress, events: events, continuation: $0)
                }
            } onCancel: {
                run.cancel()
            }
            log.info("learned \(lessons.count) lessons")
        }
        if target != base { loaded = nil }
        base = target
        try change { $0.base = target.sha256 }
        withExtendedLifetime(lock) {}
    }

    // MARK: Backup

    /// Writes the lessons into one archive (docs/lessons.md), without any weights.
    public func backUp(to archive: URL) throws { try LessonArchive.write(manifest(), of: store, to: archive) }

    /// Replaces the lessons by those of an archive that ``backUp(to:)`` wrote; then ``learn(_:)``.
    ///
    /// Lessons that this base cannot learn are refused, and so is an archive of another model: nothing changes then.
    public func restore(from archive: URL) throws {
        guard !isLearning else { throw PersonalizationError.alreadyLearning }
        let model = try current()
        let fresh = store.folder.appendingPathComponent("restoring-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: fresh) }
        try store.storage.createFolder(fresh.appendingPathComponent("lessons"))
        var restored = try LessonArchive.read(archive, of: base.id.name) { lesson, bytes in
            guard model.canLearn(lesson.label) else {
                throw PersonalizationError.unknownLabel(lesson.label, known: model.labels)
            }
            _ = try model.input.value(Example(kind: lesson.kind, shape: lesson.shape, bytes: bytes))
            try store.storage.write(bytes, to: fresh.appendingPathComponent(lesson.file))
        }
        restored.base = base.sha256
        try unlearn {
            try change { manifest in
                try store.storage.createFolder(store.folder.appendingPathComponent("lessons"))
                for lesson in restored.lessons {
                    try replace(store.folder.appendingPathComponent(lesson.file), with: fresh.appendingPathComponent(lesson.file))
                }
                manifest = restored
                try store.evict(from: &manifest)
            }
        }
    }

    // MARK: Inside

    private func manifest() throws -> LessonManifest { try store.manifest(model: base.id.name, base: base.sha256) }

    private func lesson(_ id: Lesson.ID) throws -> Lesson {
        guard let lesson = try manifest().lessons.first(where: { $0.id == id }) else { throw PersonalizationError.unknownLesson(id) }
        return lesson
    }

    /// Changes the manifest while no other instance does.
    private func change<Result>(_ body: (inout LessonManifest) throws -> Result) throws -> Result {
        let lock = try FileLock(store.folder.appendingPathComponent("lessons.lock"), wait: true)
        var manifest = try manifest()
        let result = try body(&manifest)
        try store.save(manifest)
        withExtendedLifetime(lock) {}
        return result
    }

    /// Changes the lessons while nobody learns, and removes what was trained on them: not before, for the change may fail.
    private func unlearn(_ change: () throws -> Void) throws {
        try FileLock.holding(generations.lockFile, wait: false) {
            try change()
            try generations.forget()
        }
    }

    /// The model in force; another instance may have saved a newer one.
    private func current() throws -> Loaded {
        let generation = try generations.current(of: base.sha256)
        if let loaded, loaded.generation == generation?.name { return loaded.model }
        let model = try Loaded(base, personal: generation.map { generations.url($0) }, extractor: loaded?.model.extractor)
        loaded = (generation?.name, model)
        return model
    }

    /// `target` without what its owner taught it; nothing is loaded that is in memory already.
    private func plain(_ target: Base) throws -> Loaded {
        guard target == base, let loaded else { return try Loaded(target, personal: nil) }
        return try loaded.generation == nil ? loaded.model : Loaded(target, personal: nil, extractor: loaded.model.extractor)
    }
}

/// A model in memory: a network or a k-NN, alone or behind its extractor.
struct Loaded {
    let input: ModelInput
    let labels: [String]
    let learnsNewLabels: Bool
    private let model: MLModel
    /// Of a split; the same for all its heads.
    let extractor: Extractor?
    private let label: String
    private let hasNumericLabels: Bool
    private let probabilities: String

    var description: MLModelDescription { model.modelDescription }

    init(_ base: Base, personal: URL?, extractor known: Extractor? = nil) throws {
        do {
            model = try MLModel(contentsOf: personal ?? base.model)
            extractor = try known ?? base.extractor.map { Extractor(try MLModel(contentsOf: $0)) }
        } catch {
            throw PersonalizationError.coreML("\(error)")
        }
        let description = model.modelDescription
        guard let label = description.predictedFeatureName, let probabilities = description.predictedProbabilitiesName else {
            throw PersonalizationError.unsupportedModel("it is not a classifier")
        }
        guard description.isUpdatable else { throw PersonalizationError.unsupportedModel("it is not updatable") }
        self.label = label
        self.probabilities = probabilities
        input = try ModelInput((extractor?.model ?? model).modelDescription)
        // An app has reported that a loaded model describes no parameters before an update.
        learnsNewLabels = base.id.form == .neighbors || description.parameterDescriptionsByKey[.numberOfNeighbors] != nil
        hasNumericLabels = description.outputDescriptionsByName[label]?.type == .int64
        labels = (description.classLabels ?? []).compactMap { ($0 as? String) ?? ($0 as? NSNumber)?.stringValue }
    }

    func canLearn(_ label: String) -> Bool {
        labels.contains(label) || learnsNewLabels && !label.isEmpty && (!hasNumericLabels || Int64(label) != nil)
    }

    func answer(_ example: Example) throws -> Answer {
        do {
            let row = try MLDictionaryFeatureProvider(dictionary: features(example))
            let answer = try model.prediction(from: row)
            let shares = answer.featureValue(for: probabilities)?.dictionaryValue ?? [:]
            let named = shares.map { (($0.key as? String) ?? "\($0.key)", $0.value.doubleValue) }
            let best = answer.featureValue(for: label)
            return Answer(
                label: hasNumericLabels ? "\(best?.int64Value ?? 0)" : best?.stringValue ?? "",
                probabilities: Dictionary(named) { first, _ in first })
        } catch let error as PersonalizationError {
            throw error
        } catch {
            throw PersonalizationError.coreML("\(error)")
        }
    }

    /// `name`: of the input that the example is for, if it is not the whole model's.
    func trainingRow(_ example: Example, as name: String? = nil, label text: String) throws -> any MLFeatureProvider {
        var row: [String: Any]
        if let name, name != input.name {
            guard model.modelDescription.inputDescriptionsByName[name]?.multiArrayConstraint != nil else {
                throw PersonalizationError.unsuitableInput(found: "an example for \(name)", expected: input.words)
            }
            row = [name: MLFeatureValue(multiArray: try example.multiArray())]
        } else {
            row = try features(example)
        }
        row[label] = hasNumericLabels ? MLFeatureValue(int64: Int64(text) ?? 0) : MLFeatureValue(string: text)
        return try MLDictionaryFeatureProvider(dictionary: row)
    }

    /// What the model that learns is given: the example, or its embedding.
    private func features(_ example: Example) throws -> [String: MLFeatureValue] {
        let value = try input.value(example)
        guard let extractor else { return [input.name: value] }
        let embedding = try extractor.embedding(MLDictionaryFeatureProvider(dictionary: [input.name: value]))
        var features: [String: MLFeatureValue] = [:]
        for name in model.modelDescription.inputDescriptionsByName.keys { features[name] = embedding.featureValue(for: name) }
        return features
    }
}

/// The fixed part of a split. An update asks it on Core ML's queue while the app asks for predictions, and an MLModel may be used
/// by one of them at a time.
final class Extractor: @unchecked Sendable {
    let model: MLModel
    private let lock = NSLock()

    init(_ model: MLModel) { self.model = model }

    func embedding(_ row: any MLFeatureProvider) throws -> any MLFeatureProvider { try lock.withLock { try model.prediction(from: row) } }
}
