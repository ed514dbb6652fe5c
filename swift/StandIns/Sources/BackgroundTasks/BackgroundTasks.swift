// https://developer.apple.com/documentation/backgroundtasks
import Foundation

open class BGTaskRequest: NSObject {
    public let identifier: String
    open var earliestBeginDate: Date?
    init(identifier: String) { self.identifier = identifier }
}

open class BGProcessingTaskRequest: BGTaskRequest {
    public override init(identifier: String) { super.init(identifier: identifier) }
    open var requiresNetworkConnectivity = false
    open var requiresExternalPower = false
}

open class BGTask: NSObject {
    public let identifier: String
    open var expirationHandler: (() -> Void)?
    /// On Linux only: what the system was told.
    public private(set) var standInSuccess: Bool?
    private let lock = NSLock()
    public init(standInIdentifier: String) { identifier = standInIdentifier }
    open func setTaskCompleted(success: Bool) { lock.withLock { standInSuccess = success } }
}

open class BGProcessingTask: BGTask {}

open class BGTaskScheduler: NSObject {
    nonisolated(unsafe) private static let only = BGTaskScheduler()
    open class var shared: BGTaskScheduler { only }
    private let lock = NSLock()
    private var handlers: [String: (BGTask) -> Void] = [:]
    private var requests: [String: BGTaskRequest] = [:]
    /// Instead of BGTaskSchedulerPermittedIdentifiers in an Info.plist.
    private let permitted = ["test."]

    public enum Error: Swift.Error { case unavailable, tooManyPendingTaskRequests, notPermitted }

    open func register(
        forTaskWithIdentifier identifier: String, using queue: DispatchQueue?, launchHandler: @escaping (BGTask) -> Void
    ) -> Bool {
        lock.withLock {
            precondition(handlers[identifier] == nil, "iOS ends an app that registers an identifier twice")
            guard permitted.contains(where: identifier.hasPrefix) else { return false }
            handlers[identifier] = launchHandler
            return true
        }
    }
    open func submit(_ taskRequest: BGTaskRequest) throws {
        guard permitted.contains(where: taskRequest.identifier.hasPrefix) else { throw Error.notPermitted }
        lock.withLock { requests[taskRequest.identifier] = taskRequest }
    }
    open func cancel(taskRequestWithIdentifier identifier: String) { lock.withLock { requests[identifier] = nil } }

    /// On Linux only: the system finds the moment right. Nil where nothing was asked for.
    public func standInRun(_ identifier: String) -> BGProcessingTask? {
        let handler = lock.withLock { requests.removeValue(forKey: identifier) == nil ? nil : handlers[identifier] }
        guard let handler else { return nil }
        let task = BGProcessingTask(standInIdentifier: identifier)
        handler(task)
        return task
    }
    /// On Linux only: whether the app has asked for time.
    public func standInHasRequest(_ identifier: String) -> Bool { lock.withLock { requests[identifier] != nil } }
}
