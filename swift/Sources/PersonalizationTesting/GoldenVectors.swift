import CoreML
import Personalization

/// Rows of a build with the answers to expect before and after one update (`NAME.vectors.json`), replayed on this device.
///
/// In an app's test target: add the file and its `vectors` folder as resources, and
/// `let report = try await GoldenVectors(contentsOf: url).replay(base)`.
public struct GoldenVectors: Sendable {
    /// What differed by how much.
    public struct Report: Equatable, Sendable {
        /// The largest difference of a probability, before and after the update.
        public var before = 0.0
        public var after = 0.0
        /// Each row that is outside the tolerance, in words.
        public var problems: [String] = []
    }

    private let document: Document
    private let folder: URL

    public init(contentsOf file: URL) throws {
        document = try JSONDecoder().decode(Document.self, from: Data(contentsOf: file))
        folder = file.deletingLastPathComponent()
    }

    /// Asks `base`, updates it in a temporary folder, and asks again.
    public func replay(_ base: Base) async throws -> Report {
        let work = FileManager.default.temporaryDirectory.appendingPathComponent("golden-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: work) }
        let model = try PersonalModel(base, folder: work)
        var report = Report()
        report.before = try await compare(model, document.before, document.tolerances.before, "before", &report.problems)
        guard let update = document.update else { return report }
        for row in update.rows {
            guard let label = row.label else { throw PersonalizationError.damaged("golden vectors") }
            try await model.remember(input(row), as: label)
        }
        for try await _ in model.learn(update.plan) {}
        report.after = try await compare(model, update.after, document.tolerances.after, "after", &report.problems)
        return report
    }

    private func compare(
        _ model: PersonalModel, _ expected: [Row], _ tolerance: Double, _ when: String, _ problems: inout [String]
    ) async throws -> Double {
        var largest = 0.0
        for (index, (row, answer)) in zip(document.rows, expected).enumerated() {
            let found = try await model.predict(input(row)), probabilities = answer.probabilities
            var difference = 0.0
            for label in Set(probabilities.keys).union(found.probabilities.keys) {
                difference = max(difference, abs((probabilities[label] ?? 0) - (found.probabilities[label] ?? 0)))
            }
            largest = max(largest, difference)
            let second = probabilities.values.sorted().dropLast().last ?? 0, first = probabilities.values.max() ?? 0
            let tied = first - second <= 2 * tolerance
            if difference > tolerance || (found.label != answer.label && !tied) {
                problems.append(
                    "row \(index + 1) \(when) the update: \(found.label), expected \(answer.label ?? ""); probabilities differ by \(difference)")
            }
        }
        return largest
    }

    private func input(_ row: Row) throws -> Input {
        for value in row.values.values {
            switch value {
            case .picture(let name): return .file(folder.appendingPathComponent(name))
            case .array(let numbers, let shape): return .array(numbers, shape: shape)
            default: continue
            }
        }
        throw PersonalizationError.damaged("golden vectors")
    }
}

private struct Document: Decodable, Sendable {
    struct Tolerances: Decodable, Sendable { let before: Double, after: Double }
    let tolerances: Tolerances
    let rows: [Row]
    let before: [Row]
    let update: Update?
}

private struct Update: Decodable, Sendable {
    let parameters: [String: Parameter]
    let rows: [Row]
    let after: [Row]

    var plan: Plan {
        var plan = Plan()
        for (name, value) in parameters {
            switch name {
            case "epochs": plan.epochs = value.integer
            case "miniBatchSize": plan.miniBatchSize = value.integer
            case "learningRate": plan.learningRate = value.number
            case "momentum": plan.momentum = value.number
            case "numberOfNeighbors": plan.numberOfNeighbors = value.integer
            case "seed": plan.seed = value.integer
            case "shuffle": plan.shuffle = value.flag
            default: continue
            }
        }
        return plan
    }
}

private enum Parameter: Decodable, Sendable {
    case flag(Bool), number(Double)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) { self = .flag(flag) } else { self = .number(try container.decode(Double.self)) }
    }

    var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }
    var number: Double? { if case .number(let number) = self { number } else { nil } }
    var integer: Int? { number.map { Int($0) } }
}

/// A row or an answer: features by name.
private struct Row: Decodable, Sendable {
    enum Value: Decodable, Sendable {
        case picture(String), array([Float], shape: [Int]), text(String), probabilities([String: Double]), number(Double)

        private struct Picture: Decodable { let png: String }
        private struct Array: Decodable { let shape: [Int], values: [Float] }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let picture = try? container.decode(Picture.self) {
                self = .picture(picture.png)
            } else if let array = try? container.decode(Array.self) {
                self = .array(array.values, shape: array.shape)
            } else if let probabilities = try? container.decode([String: Double].self) {
                self = .probabilities(probabilities)
            } else {
                self = .number(try container.decode(Double.self))
            }
        }
    }

    let values: [String: Value]
    init(from decoder: any Decoder) throws { values = try decoder.singleValueContainer().decode([String: Value].self) }

    /// Of an answer or of a row to learn from: its one text.
    var label: String? { values.values.lazy.compactMap { if case .text(let text) = $0 { text } else { nil } }.first }
    var probabilities: [String: Double] {
        values.values.lazy.compactMap { if case .probabilities(let shares) = $0 { shares } else { nil } }.first ?? [:]
    }
}
