import CoreML
import Observation
import Personalization

/// What a screen shows of a personal model: the answer to one input, the lessons, and the progress of learning.
///
/// The views of this target read it, and an app's own views may. Compiled and tested on Linux too; iOS 17, for Observation.
@available(iOS 17, macOS 14, *)
@MainActor
@Observable
public final class PersonalModelState {
    public private(set) var answer: Answer?
    public private(set) var lessons: [Lesson] = []
    public private(set) var labels: [String] = []
    /// From 0 to 1 while it learns; nil otherwise.
    public private(set) var progress: Double?
    /// Whether there are lessons that the model has not learned yet.
    public private(set) var needsLearning = false
    /// What went wrong last, in words for the owner; the next action clears it.
    public private(set) var message: String?

    public var isLearning: Bool { progress != nil }

    private let model: PersonalModel
    private var input: Input?
    private var learning: Task<Void, Never>?
    /// What was asked for while it was learning.
    private var next: Plan?

    public init(_ model: PersonalModel) { self.model = model }

    /// Reads lessons and labels; call it when the screen appears.
    public func refresh() async { await attempt {} }

    public func classify(_ input: Input) async {
        self.input = input
        await attempt {}
    }

    /// "That's wrong": keeps the input as a lesson, and learns.
    public func correct(to label: String) async {
        guard let input else { return }
        await attempt { _ = try await self.model.remember(input, as: label) }
        if message == nil { learn() }
    }

    /// Starts learning. While it runs, it will learn once more when it has ended: with the lessons that came meanwhile.
    public func learn(_ plan: Plan = Plan()) {
        next = plan
        guard learning == nil else { return }
        progress = 0
        learning = Task {
            while let plan = next, !Task.isCancelled {
                next = nil
                await attempt {
                    for try await report in self.model.learn(plan) {
                        self.progress = report.epochs.map { min(1, Double(report.epoch) / Double(max($0, 1))) } ?? 0
                    }
                }
            }
            progress = nil
            learning = nil
            if let plan = next { learn(plan) }  // asked for after a cancel
        }
    }

    public func cancel() {
        next = nil
        learning?.cancel()
    }

    /// Waits until learning has ended.
    public func finishLearning() async {
        while let learning { await learning.value }
    }

    /// Removes the last lesson, and learns again without it.
    public func undo() async {
        guard let last = lessons.last else { return }
        await attempt { try await self.model.forget(last.id) }
        if message == nil, !lessons.isEmpty { learn() }
    }

    public func reset() async { await attempt { try await self.model.reset() } }

    private func attempt(_ action: @MainActor () async throws -> Void) async {
        do {
            message = nil
            try await action()
        } catch is CancellationError {
        } catch {
            message = (error as? any LocalizedError)?.errorDescription ?? "\(error)"
        }
        do {
            labels = try await model.labels
            lessons = try await model.lessons
            needsLearning = try await model.needsLearning
            if let input { answer = try await model.predict(input) }
        } catch {
            message = message ?? (error as? any LocalizedError)?.errorDescription ?? "\(error)"
        }
    }
}
