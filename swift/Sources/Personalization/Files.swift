import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// How the owner's files are protected at rest, and whether iCloud backs them up.
public struct Storage: Sendable {
    /// Readable after the first unlock, so that learning in the background works; or only while the device is unlocked.
    public enum Protection: Sendable { case untilFirstUnlock, whileUnlocked }
    public var protection: Protection
    public var isBackedUp: Bool

    public init(protection: Protection = .untilFirstUnlock, isBackedUp: Bool = true) {
        self.protection = protection
        self.isBackedUp = isBackedUp
    }

    func createFolder(_ folder: URL) throws {
        try written(folder) {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: attributes)
        }
        #if canImport(Darwin)
            var folder = folder
            var values = URLResourceValues()
            values.isExcludedFromBackup = !isBackedUp
            try written(folder) { try folder.setResourceValues(values) }
        #endif
    }

    /// Replaces the file in one step: after a crash it is the old one or the new one.
    func write(_ data: Data, to file: URL) throws {
        try written(file) {
            #if os(iOS)
                let option: Data.WritingOptions =
                    protection == .whileUnlocked ? .completeFileProtection : .completeFileProtectionUntilFirstUserAuthentication
                try data.write(to: file, options: [.atomic, option])
            #else
                try data.write(to: file, options: .atomic)
            #endif
        }
    }

    private var attributes: [FileAttributeKey: Any] {
        #if os(iOS)
            let type: FileProtectionType = protection == .whileUnlocked ? .complete : .completeUntilFirstUserAuthentication
            return [.protectionKey: type]
        #else
            return [.posixPermissions: 0o700]
        #endif
    }
}

/// A lock among processes and instances, released with this object. iOS ends an app that is suspended while it holds a lock
/// in a shared container, so locks are held as long as an operation takes, and no longer.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// Waits for the lock, or, with `wait` false, throws ``PersonalizationError/folderInUse(_:)``.
    init(_ file: URL, wait: Bool) throws {
        descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PersonalizationError.cannotWrite(file.lastPathComponent) }
        guard flock(descriptor, wait ? LOCK_EX : LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw PersonalizationError.folderInUse(file.deletingLastPathComponent().lastPathComponent)
        }
    }

    /// Runs `body` while holding the lock.
    static func holding<Result>(_ file: URL, wait: Bool, _ body: () throws -> Result) throws -> Result {
        let lock = try FileLock(file, wait: wait)
        return try withExtendedLifetime(lock) { try body() }
    }

    deinit { close(descriptor) }
}

/// Runs `body`, which writes `file`; what the file system has against it becomes ``PersonalizationError/cannotWrite(_:)``.
func written<Result>(_ file: URL, _ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as PersonalizationError {
        throw error
    } catch {
        throw PersonalizationError.cannotWrite(file.lastPathComponent)
    }
}

/// The content of a file of this package's; a missing one is ``PersonalizationError/damaged(_:)``, for something names it.
func readBounded(_ file: URL, limit: Int) throws -> Data {
    guard FileManager.default.fileExists(atPath: file.path) else { throw PersonalizationError.damaged(file.lastPathComponent) }
    let data: Data
    do {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        data = try handle.read(upToCount: limit + 1) ?? Data()
    } catch {
        throw PersonalizationError.cannotRead(file.lastPathComponent)
    }
    guard data.count <= limit else { throw PersonalizationError.tooLarge(file.lastPathComponent, limit: limit) }
    return data
}
