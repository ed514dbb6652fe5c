#if os(iOS) || os(Linux)
    import BackgroundTasks
    import Foundation
    import os

    /// Learns while the device is idle: iOS grants a processing task minutes, mostly at night and on power.
    ///
    /// Put the identifier into `BGTaskSchedulerPermittedIdentifiers` and "Background processing" into the app's capabilities, call
    /// ``register()`` before the app has launched, and ``schedule(earliest:)`` when there is something to learn.
    public final class BackgroundLearning: Sendable {
        private let identifier: String
        private let plan: Plan
        private let requiresExternalPower: Bool
        private let model: @Sendable () async throws -> PersonalModel
        private let log = Logger(subsystem: "Personalization", category: "BackgroundLearning")

        /// `model` opens the model when the time has come.
        public init(
            identifier: String, plan: Plan = Plan(), requiresExternalPower: Bool = true,
            model: @escaping @Sendable () async throws -> PersonalModel
        ) {
            self.identifier = identifier
            self.plan = plan
            self.requiresExternalPower = requiresExternalPower
            self.model = model
        }

        /// Call it once, before the app has launched: iOS ends an app that registers an identifier twice. False where the app's
        /// Info.plist does not permit the identifier.
        @discardableResult
        public func register() -> Bool {
            let launch: @Sendable (BGTask) -> Void = { [self] in run($0) }
            return BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: nil, launchHandler: launch)
        }

        /// Asks for time, not before `earliest`. Throws `BGTaskScheduler.Error`, always in Apple's Simulator.
        public func schedule(earliest: Date? = nil) throws {
            let request = BGProcessingTaskRequest(identifier: identifier)
            request.earliestBeginDate = earliest
            request.requiresExternalPower = requiresExternalPower
            request.requiresNetworkConnectivity = false
            try BGTaskScheduler.shared.submit(request)
        }

        /// The task is completed once, and only after the update has ended or stopped. One that iOS cut short is asked for again, and so
        /// is one that met another update; whatever else went wrong would do so again.
        private func run(_ task: BGTask) {
            let task = Handed(task)
            let work = Task {
                do {
                    let model = try await self.model()
                    if try await model.needsLearning { for try await _ in model.learn(plan) {} }
                    // A cancelled loop ends as a finished one does.
                    try Task.checkCancellation()
                    task.content.setTaskCompleted(success: true)
                } catch {
                    log.error("learning in the background ended early: \(String(describing: error), privacy: .public)")
                    if Task.isCancelled || (error as? PersonalizationError)?.isTemporary == true { try? schedule() }
                    task.content.setTaskCompleted(success: false)
                }
            }
            let onExpiration: @Sendable () -> Void = { work.cancel() }
            task.content.expirationHandler = onExpiration
        }
    }

    /// iOS hands the task over to the launch handler, and touches it no more.
    private struct Handed: @unchecked Sendable {
        let content: BGTask
        init(_ content: BGTask) { self.content = content }
    }
#endif
