import CryptoKit
import Foundation

/// A model of a catalogue: its name, and in which form the app uses it.
public struct ModelID: Hashable, Codable, Sendable {
    public enum Form: String, Codable, Sendable {
        /// A network whose last layers are updatable.
        case network
        /// A k-nearest-neighbors classifier, which stores each example.
        case neighbors = "k-NN"
        /// The network in two files: a fixed extractor, and a head that alone is trained.
        case split
    }

    public let name: String
    public let form: Form

    public init(_ name: String, form: Form = .network) {
        self.name = name
        self.form = form
    }
}

/// A compiled model that nobody has personalized, on the device's disk. Ask for it at each launch: an app's container moves, and
/// the paths with it.
public struct Base: Equatable, Sendable {
    public let id: ModelID
    public let version: String
    /// The SHA-256 of the file it was compiled from; personal models belong to it.
    public let sha256: String
    /// The compiled model that learns: a network, a k-NN, or the head of a split.
    public let model: URL
    /// The compiled feature extractor of a split.
    public let extractor: URL?
    /// Base examples that ``PersonalModel/learn(_:)`` mixes in (`NAME.replay.json`), where the catalogue offers them.
    public let replay: URL?

    public init(id: ModelID, version: String, sha256: String, model: URL, extractor: URL? = nil, replay: URL? = nil) {
        self.id = id
        self.version = version
        self.sha256 = sha256
        self.model = model
        self.extractor = extractor
        self.replay = replay
    }

    /// A model that Xcode compiled into the app. Its sum is taken over all files of the `.mlmodelc` folder.
    public static func bundled(_ id: ModelID, model: URL, extractor: URL? = nil, replay: URL? = nil, version: String = "bundled")
        throws -> Base
    {
        var hash = SHA256()
        for folder in [model, extractor].compactMap({ $0 }) {
            guard let files = FileManager.default.enumerator(atPath: folder.path) else {
                throw PersonalizationError.damaged(folder.lastPathComponent)
            }
            for name in files.compactMap({ $0 as? String }).sorted() {
                let file = folder.appendingPathComponent(name)
                var directory: ObjCBool = false
                guard FileManager.default.fileExists(atPath: file.path, isDirectory: &directory), !directory.boolValue else { continue }
                hash.update(data: Data("\(name)\0".utf8))
                guard let data = try? Data(contentsOf: file, options: .mappedIfSafe) else { throw PersonalizationError.damaged(name) }
                hash.update(data: data)
            }
        }
        return Base(id: id, version: version, sha256: hash.finalize().hexadecimal, model: model, extractor: extractor, replay: replay)
    }
}

extension Sequence<UInt8> {
    var hexadecimal: String { map { String(format: "%02x", $0) }.joined() }
}

func sha256(_ data: Data) -> String { SHA256.hash(data: data).hexadecimal }
