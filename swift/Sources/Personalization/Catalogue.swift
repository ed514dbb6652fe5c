import CoreML
import CryptoKit
import os

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Base models from a site that `coreml-updatable publish` wrote.
///
/// What came once is found again without the network (``installed(_:)``). An index counts if a trusted key signed it, it has not
/// expired, and its serial is not lower than one that was seen; it then names the keys that count from now on (docs/catalogue.md).
public actor Catalogue {
    /// Whom to believe.
    public enum Trust: Equatable, Sendable {
        /// Any of these Ed25519 keys, in base64 as in `public-key.txt`; an index may replace them.
        case signed(publicKeys: [String])
        /// Everybody who can change what the site answers. For development.
        case unsigned
    }

    /// Bounds of what is taken from the network.
    public struct Limits: Sendable {
        public var indexBytes = 16 << 20
        public var modelBytes = 1 << 30
        public init() {}
    }

    private let site: URL
    private let trust: Trust
    private let folder: URL
    private let limits: Limits
    private let configuration: URLSessionConfiguration
    /// What can be fetched again does not belong into a backup.
    private let storage = Storage(isBackedUp: false)
    private let now: @Sendable () -> Date
    private let log = Logger(subsystem: "Personalization", category: "Catalogue")

    public init(site: URL, publicKeys: [String], folder: URL) {
        self.init(site: site, folder: folder, trust: .signed(publicKeys: publicKeys))
    }

    /// `folder` holds the compiled models and what was seen of the site; an app keeps one in Application Support.
    public init(
        site: URL, folder: URL, trust: Trust, limits: Limits = Limits(), configuration: URLSessionConfiguration = .ephemeral,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        // Without the slash, the last part of the path would be replaced instead of continued.
        self.site = site.absoluteString.hasSuffix("/") ? site : URL(string: site.absoluteString + "/") ?? site
        self.folder = folder
        self.trust = trust
        self.limits = limits
        self.configuration = configuration
        self.now = now
    }

    /// The model as it came last, or nil; never asks the network.
    public func installed(_ id: ModelID) -> Base? {
        (try? state())?.installed.last { $0.id == id && $0.isThere(in: folder) }?.base(in: folder)
    }

    /// The installed model, or the newest one where there is none yet.
    public func base(_ id: ModelID) async throws -> Base {
        if let installed = installed(id) { return installed }
        return try await newest(id)
    }

    /// The newest version, fetched, verified and compiled unless it is here already.
    public func newest(_ id: ModelID) async throws -> Base {
        let index = try await index()
        guard let entry = index.models.first(where: { $0.name == id.name }),
            let release = entry.versions.first(where: { $0.version == entry.latest })
        else { throw PersonalizationError.notInCatalogue(id.name) }
        let (model, extractor) = try release.files(id), replay = id.form == .neighbors ? nil : release.replay(of: model)
        let installed = Installed(
            id: id, version: release.version, model: model.sha256, extractor: extractor?.sha256, replay: replay?.sha256)
        if !installed.isThere(in: folder) {
            for file in [model, extractor].compactMap({ $0 }) { try await install(file) }
            if let replay { try await install(replay, of: release, for: model) }
        }
        try remember { state in
            state.installed.removeAll { $0 == installed }
            state.installed.append(installed)
        }
        return installed.base(in: folder)
    }

    /// Removes compiled models other than the newest `keep` of each, and broken downloads.
    public func prune(keep: Int = 1) throws {
        try remember { state in
            var counts: [ModelID: Int] = [:]
            state.installed = state.installed.reversed().filter { installed in
                counts[installed.id, default: 0] += 1
                return counts[installed.id, default: 0] <= max(keep, 1)
            }.reversed()
        }
        let named = Set(try state().installed.flatMap(\.names))
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        where ((name.hasSuffix(".mlmodelc") || name.hasSuffix(".replay")) && !named.contains(name)) || name.hasSuffix(".partial") {
            let file = folder.appendingPathComponent(name)
            try written(file) { try FileManager.default.removeItem(at: file) }
        }
    }

    // MARK: What is believed

    private func index() async throws -> Index {
        let content = try await get("index.json", limit: limits.indexBytes)
        let sum = sha256(content)
        if case .signed(let publicKeys) = trust {
            let keys = try state().keys
            try await expectSignature(of: content, sum, by: keys.isEmpty ? publicKeys : keys)
        }
        guard let index = try? JSONDecoder().decode(Index.self, from: content), index.schema == Index.schema else {
            throw PersonalizationError.wrongContent("index.json")
        }
        if trust != .unsigned {
            guard let expires = index.expires.flatMap({ ISO8601DateFormatter().date(from: $0) }), expires > now() else {
                throw PersonalizationError.expired(index.expires ?? "a moment that it does not name")
            }
            let seen = try state()
            guard index.serial >= seen.serial else { throw PersonalizationError.rolledBack(found: index.serial, seen: seen.serial) }
            guard index.serial > seen.serial || seen.sum.isEmpty || seen.sum == sum else {
                throw PersonalizationError.untrusted("A second index of serial \(index.serial)")
            }
        }
        try remember {
            $0.keys = index.keys ?? []
            $0.serial = index.serial
            $0.sum = sum
        }
        return index
    }

    private func expectSignature(of content: Data, _ sum: String, by keys: [String]) async throws {
        let signature: Data
        do {
            signature = try await get("signatures/\(sum).sig", limit: 64)
        } catch PersonalizationError.server(404, _) {
            throw PersonalizationError.untrusted("index.json")
        }
        let signed = keys.contains { key in
            guard let bytes = Data(base64Encoded: key), let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else {
                return false
            }
            return key.isValidSignature(signature, for: content)
        }
        guard signed else { throw PersonalizationError.untrusted("index.json") }
    }

    private func get(_ path: String, limit: Int) async throws -> Data {
        guard let url = URL(string: path, relativeTo: site)?.absoluteURL else { throw PersonalizationError.wrongContent(path) }
        let data = try await Transfer.data(url, limit: limit, configuration)
        if path.hasSuffix(".json"), data.first == UInt8(ascii: "<") { throw PersonalizationError.captivePortal(url) }
        return data
    }

    // MARK: Models

    private func install(_ file: Index.File) async throws {
        guard let url = URL(string: file.url, relativeTo: site)?.absoluteURL, file.sha256.isSum else {
            throw PersonalizationError.wrongContent(file.file)
        }
        guard file.bytes <= limits.modelBytes else { throw PersonalizationError.tooLarge(file.file, limit: limits.modelBytes) }
        let compiled = folder.appendingPathComponent("\(file.sha256).mlmodelc")
        guard !FileManager.default.fileExists(atPath: compiled.path) else { return }
        try storage.createFolder(folder)
        // Whoever comes while another one fetches the same file does so apart, and does not go on where an earlier one broke off.
        let shared = folder.appendingPathComponent("\(file.sha256).mlmodel.partial"), lock = try? FileLock(shared, wait: false)
        let partial = lock == nil ? folder.appendingPathComponent("\(UUID().uuidString).mlmodel.partial") : shared
        defer { if lock == nil { try? FileManager.default.removeItem(at: partial) } }
        if (try? partial.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0 >= file.bytes {
            try written(partial) { try FileHandle(forWritingTo: partial).truncate(atOffset: 0) }
        }
        try await Transfer.file(url, limit: file.bytes, to: partial, configuration)
        // Whatever it is, it is of no use for another try.
        let model = folder.appendingPathComponent("\(UUID().uuidString).mlmodel")
        defer { try? FileManager.default.removeItem(at: model) }
        try written(model) { try FileManager.default.moveItem(at: partial, to: model) }
        withExtendedLifetime(lock) {}
        guard try Self.sum(of: model) == file.sha256 else { throw PersonalizationError.wrongContent(file.file) }
        do {
            let fresh = try await MLModel.compileModel(at: model)
            defer { try? FileManager.default.removeItem(at: fresh) }
            try put(fresh, at: compiled)
        } catch let error as PersonalizationError {
            throw error
        } catch {
            throw PersonalizationError.coreML("\(error)")
        }
        log.info("installed \(file.file, privacy: .public)")
    }

    /// A replay set with its pictures, in a folder that appears when it is complete.
    private func install(_ file: Index.File, of release: Index.Release, for model: Index.File) async throws {
        guard file.sha256.isSum else { throw PersonalizationError.wrongContent(file.file) }
        let place = folder.appendingPathComponent("\(file.sha256).replay")
        guard !FileManager.default.fileExists(atPath: place.path) else { return }
        let fresh = folder.appendingPathComponent("\(UUID().uuidString).replay.partial")
        defer { try? FileManager.default.removeItem(at: fresh) }
        let content = try await verified(file, limit: ReplaySet.maxBytes)
        let document = try ReplaySet.document(content, file.file)
        guard document.sha256 == model.sha256 else { throw PersonalizationError.wrongContent(file.file) }
        try keep(content, in: fresh, as: Installed.replayFile)
        for png in Set(document.pictures) {
            guard let picture = release.files.first(where: { $0.file == png }) else { throw PersonalizationError.wrongContent(png) }
            try keep(await verified(picture, limit: ReplaySet.maxBytes), in: fresh, as: png)
        }
        try put(fresh, at: place)
    }

    /// Another instance may have been faster.
    private func put(_ fresh: URL, at place: URL) throws {
        do {
            try FileManager.default.moveItem(at: fresh, to: place)
        } catch {
            guard FileManager.default.fileExists(atPath: place.path) else { throw PersonalizationError.cannotWrite(place.lastPathComponent) }
        }
    }

    private func keep(_ content: Data, in folder: URL, as name: String) throws {
        let file = folder.appendingPathComponent(name)
        try written(file) {
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try content.write(to: file)
        }
    }

    private func verified(_ file: Index.File, limit: Int) async throws -> Data {
        guard file.bytes <= limit else { throw PersonalizationError.tooLarge(file.file, limit: limit) }
        let content = try await get(file.url, limit: file.bytes)
        guard sha256(content) == file.sha256 else { throw PersonalizationError.wrongContent(file.file) }
        return content
    }

    private static func sum(of file: URL) throws -> String {
        var hash = SHA256()
        try written(file) {
            let handle = try FileHandle(forReadingFrom: file)
            defer { try? handle.close() }
            while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty { hash.update(data: piece) }
        }
        return hash.finalize().hexadecimal
    }

    // MARK: What is remembered

    /// Paths are relative: an app's container moves between two launches.
    private struct Installed: Codable, Equatable {
        let id: ModelID
        let version: String
        let model: String
        let extractor: String?
        let replay: String?

        static let replayFile = "set.replay.json"

        /// Of what it has in the folder.
        var names: [String] {
            [model, extractor].compactMap { $0.map { "\($0).mlmodelc" } } + (replay.map { ["\($0).replay"] } ?? [])
        }

        func base(in folder: URL) -> Base {
            Base(
                id: id, version: version, sha256: model, model: folder.appendingPathComponent("\(model).mlmodelc"),
                extractor: extractor.map { folder.appendingPathComponent("\($0).mlmodelc") },
                replay: replay.map { folder.appendingPathComponent("\($0).replay").appendingPathComponent(Self.replayFile) })
        }

        func isThere(in folder: URL) -> Bool {
            names.allSatisfy { FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path) }
        }
    }

    private struct State: Codable {
        var site = ""
        var keys: [String] = []
        var serial = 0
        var sum = ""
        var installed: [Installed] = []
    }

    private var stateFile: URL { folder.appendingPathComponent("catalogue.json") }

    /// What cannot be read is not forgotten: an older index would count again.
    private func state() throws -> State {
        let data = try FileManager.default.fileExists(atPath: stateFile.path) ? readBounded(stateFile, limit: 1 << 20) : Data()
        guard var state = try? JSONDecoder().decode(State.self, from: data) else { return State(site: site.absoluteString) }
        if state.site != site.absoluteString { state = State(site: site.absoluteString, installed: state.installed) }
        return state
    }

    private func remember(_ change: (inout State) -> Void) throws {
        try storage.createFolder(folder)
        try FileLock.holding(folder.appendingPathComponent("catalogue.lock"), wait: true) {
            var state = try state()
            let seen = state.serial
            change(&state)
            state.serial = max(state.serial, seen)
            try written(stateFile) { try JSONEncoder().encode(state).write(to: stateFile, options: .atomic) }
        }
    }
}

/// What an app needs of `index.json`.
struct Index: Decodable {
    static let schema = 2
    let schema: Int
    let serial: Int
    let expires: String?
    let keys: [String]?
    let models: [Entry]

    struct Entry: Decodable {
        let name: String
        let latest: String
        let versions: [Release]
    }

    struct Release: Decodable {
        let version: String
        let models: [File]
        let files: [File]

        /// The base examples to mix into updates of `model`.
        func replay(of model: File) -> File? {
            files.first { $0.file == model.file.replacingOccurrences(of: ".mlmodel", with: ".replay.json") }
        }

        /// The file that learns, and the extractor in front of it.
        func files(_ id: ModelID) throws -> (File, File?) {
            // A k-NN is a pipeline of its extractor and its classifier, whatever the network's layout.
            func only(_ role: String, _ layout: String?, _ learns: Bool) throws -> File {
                guard let file = models.first(where: {
                    $0.role == role && (layout == nil || $0.layout == layout) && ($0.update != nil) == learns
                }) else {
                    throw PersonalizationError.notInCatalogue("\(id.name) \(version) as \(id.form.rawValue)")
                }
                return file
            }
            switch id.form {
            case .network: return (try only("network", "single", true), nil)
            case .neighbors: return (try only("k-NN", nil, true), nil)
            case .split: return (try only("part", "split", true), try only("part", "split", false))
            }
        }
    }

    struct File: Decodable {
        let file: String
        let url: String
        let bytes: Int
        let sha256: String
        /// Of a model; other files have none of these.
        let role: String?
        let layout: String?
        let update: Update?
    }

    struct Update: Decodable {}
}

extension String {
    /// Whether it is a SHA-256 in hexadecimal, and so safe as the name of a file.
    fileprivate var isSum: Bool { utf8.count == 64 && utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } }
}
