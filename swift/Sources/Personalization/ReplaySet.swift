import CoreML

/// Base examples that are mixed into each update of a network, so that it forgets less of what its base knew: `NAME.replay.json`
/// of a build or a catalogue, with its pictures beside it (docs/personalization.md).
struct ReplaySet {
    static let maxBytes = 64 << 20
    static let maxRows = 10_000

    /// What the set's file says.
    struct Document: Decodable {
        static let schema = 1
        let schema: Int
        /// Of the .mlmodel file that the rows are for.
        let sha256: String
        let rows: [[String: Value]]

        /// The pictures that the rows name, relative to the file.
        var pictures: [String] {
            rows.flatMap { $0.values.compactMap { if case .picture(let png) = $0 { png } else { nil } } }
        }
    }

    enum Value: Decodable {
        case picture(String), numbers(shape: [Int], Data), label(String)

        private struct Picture: Decodable { let png: String }
        private struct Numbers: Decodable { let shape: [Int], float32: Data }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .label(text)
            } else if let number = try? container.decode(Int.self) {
                self = .label("\(number)")
            } else if let picture = try? container.decode(Picture.self) {
                self = .picture(picture.png)
            } else {
                let numbers = try container.decode(Numbers.self)
                self = .numbers(shape: numbers.shape, numbers.float32)
            }
        }
    }

    private let folder: URL
    private let rows: [[String: Value]]

    var count: Int { rows.count }

    init(contentsOf file: URL) throws {
        rows = try Self.document(readBounded(file, limit: Self.maxBytes), file.lastPathComponent).rows
        folder = file.deletingLastPathComponent()
    }

    static func document(_ data: Data, _ name: String) throws -> Document {
        guard let document = try? JSONDecoder().decode(Document.self, from: data), document.schema == Document.schema,
            (1...maxRows).contains(document.rows.count), document.pictures.allSatisfy(isSafe)
        else { throw PersonalizationError.damaged(name) }
        return document
    }

    /// A row for an update of `model`: a picture or numbers for its input, or numbers for the part of it that learns.
    func row(_ index: Int, for model: Loaded) throws -> any MLFeatureProvider {
        var example: (name: String, value: Example)?, label: String?
        for (name, value) in rows[index] {
            switch value {
            case .label(let text): label = text
            case .picture(let png): example = (name, try model.input.example(.file(folder.appendingPathComponent(png))))
            case .numbers(let shape, let bytes):
                guard Example.size(.float32, shape) == bytes.count else { throw PersonalizationError.damaged("replay set") }
                example = (name, Example(kind: .float32, shape: shape, bytes: bytes))
            }
        }
        guard let example, let label, model.labels.contains(label) else { throw PersonalizationError.damaged("replay set") }
        return try model.trainingRow(example.value, as: example.name, label: label)
    }

    /// `NAME.png`, or `FOLDER/NAME.png`: no way out of the folder.
    private static func isSafe(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return (1...2).contains(parts.count) && path.hasSuffix(".png")
            && parts.allSatisfy { part in
                part.utf8.count <= 104 && part.first.map { $0 != "." && $0 != "-" } == true
                    && part.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.".utf8.contains($0) }
            }
    }
}
