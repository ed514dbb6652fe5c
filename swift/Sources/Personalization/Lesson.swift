import Foundation

/// One example of the owner's with the label that the owner gave it. Lessons are what is personal: models are trained from them.
public struct Lesson: Codable, Equatable, Identifiable, Sendable {
    public let id: UUID
    public let label: String
    public let date: Date
    public let kind: Example.Kind
    public let shape: [Int]
    /// Of the example's bytes.
    public let sha256: String

    var file: String { "lessons/\(id.uuidString.lowercased()).bin" }
    var size: Int? { Example.size(kind, shape) }
}

/// How many lessons are kept. Beyond that, the label with the most lessons gives up the older of its two most similar ones.
public struct LessonLimits: Sendable {
    public var count: Int
    public var bytes: Int

    public init(count: Int = 200, bytes: Int = 64 << 20) {
        self.count = count
        self.bytes = bytes
    }
}

/// `lessons.json`: in the folder of a model, and the first entry of an archive (docs/lessons.md).
struct LessonManifest: Codable, Equatable {
    static let format = 1
    static let name = "lessons.json"
    static let maxBytes = 8 << 20
    static let maxLessons = 10_000

    var format = LessonManifest.format
    /// The catalogue's name of the model.
    var model: String
    /// The sum of the base that the lessons were last trained on.
    var base: String
    var lessons: [Lesson]

    static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return encoder
    }()

    /// Nil where `data` is not a manifest of this format, or says what cannot be.
    init?(_ data: Data) {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        guard let read = try? decoder.decode(LessonManifest.self, from: data), read.format == Self.format,
            read.lessons.count <= Self.maxLessons, Set(read.lessons.map(\.id)).count == read.lessons.count,
            read.lessons.allSatisfy({ $0.size != nil && !$0.label.isEmpty && $0.label.utf8.count <= 1000 && $0.sha256.count == 64 })
        else { return nil }
        self = read
    }

    init(model: String, base: String) {
        self.model = model
        self.base = base
        lessons = []
    }

    func data() throws -> Data { try Self.encoder.encode(self) }
}

/// The lessons in a folder: one manifest, and a file for each example.
struct LessonStore {
    let folder: URL
    let storage: Storage
    let limits: LessonLimits
    private var manifestFile: URL { folder.appendingPathComponent(LessonManifest.name) }

    func manifest(model: String, base: String) throws -> LessonManifest {
        guard FileManager.default.fileExists(atPath: manifestFile.path) else { return LessonManifest(model: model, base: base) }
        guard let manifest = LessonManifest(try readBounded(manifestFile, limit: LessonManifest.maxBytes)) else {
            throw PersonalizationError.damaged(LessonManifest.name)
        }
        guard manifest.model == model else { throw PersonalizationError.otherModel(found: manifest.model, expected: model) }
        return manifest
    }

    func example(_ lesson: Lesson) throws -> Example {
        guard let size = lesson.size else { throw PersonalizationError.damaged(lesson.file) }
        let bytes = try readBounded(folder.appendingPathComponent(lesson.file), limit: Example.maxBytes)
        guard bytes.count == size, sha256(bytes) == lesson.sha256 else { throw PersonalizationError.damaged(lesson.file) }
        return Example(kind: lesson.kind, shape: lesson.shape, bytes: bytes)
    }

    func add(_ example: Example, as label: String, to manifest: inout LessonManifest) throws -> Lesson {
        let date = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        let lesson = Lesson(
            id: UUID(), label: label, date: date, kind: example.kind, shape: example.shape, sha256: sha256(example.bytes))
        try storage.createFolder(folder.appendingPathComponent("lessons"))
        try storage.write(example.bytes, to: folder.appendingPathComponent(lesson.file))
        manifest.lessons.append(lesson)
        try evict(from: &manifest)
        return lesson
    }

    /// Writes the manifest, which is what counts, and removes files that it does not name.
    func save(_ manifest: LessonManifest) throws {
        try storage.write(try manifest.data(), to: manifestFile)
        let named = Set(manifest.lessons.map { ($0.file as NSString).lastPathComponent })
        let lessons = folder.appendingPathComponent("lessons")
        for file in (try? FileManager.default.contentsOfDirectory(atPath: lessons.path)) ?? [] where !named.contains(file) {
            try? FileManager.default.removeItem(at: lessons.appendingPathComponent(file))
        }
    }

    /// Removes lessons until what is left is within the limits.
    func evict(from manifest: inout LessonManifest) throws {
        // Far too many, as after a restore: age alone decides first, because similarity looks at every pair.
        let most = max(limits.count, 0) + 8
        while manifest.lessons.count > most {
            let counts = Dictionary(grouping: manifest.lessons, by: \.label).mapValues(\.count)
            let crowded = counts.values.max() ?? 0
            var surplus = manifest.lessons.count - most
            var seen: [String: Int] = [:]
            manifest.lessons.removeAll { lesson in
                guard surplus > 0, counts[lesson.label] == crowded, seen[lesson.label, default: 0] < max(1, crowded / 2) else { return false }
                seen[lesson.label, default: 0] += 1
                surplus -= 1
                return true
            }
        }
        var signatures: [UUID: [Float]] = [:]
        while manifest.lessons.count > limits.count || manifest.lessons.reduce(0, { $0 + ($1.size ?? 0) }) > limits.bytes {
            let labels = Dictionary(grouping: manifest.lessons, by: \.label)
            guard let crowd = labels.values.max(by: { ($0.count, $1[0].label) < ($1.count, $0[0].label) }) else { return }
            guard crowd.count > 1 else { return drop(crowd[0], from: &manifest) }
            for lesson in crowd where signatures[lesson.id] == nil { signatures[lesson.id] = try signature(example(lesson)) }
            var closest = (distance: Float.infinity, older: crowd[0])
            for (index, older) in crowd.enumerated() {
                for newer in crowd[(index + 1)...] {
                    let distance = zip(signatures[older.id]!, signatures[newer.id]!).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
                    if distance < closest.distance { closest = (distance, older) }
                }
            }
            drop(closest.older, from: &manifest)
        }
    }

    private func drop(_ lesson: Lesson, from manifest: inout LessonManifest) { manifest.lessons.removeAll { $0.id == lesson.id } }

    /// 256 values spread over the example: enough to tell pictures of one size apart.
    private func signature(_ example: Example) -> [Float] {
        let width = example.kind == .float32 ? 4 : 1, count = example.bytes.count / width
        return example.bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: count, by: max(1, count / 256)).map { index in
                width == 4 ? bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self) : Float(bytes[index])
            }
        }
    }
}
