import CoreML
import Personalization

/// Rows of a build with the answers to expect before and after updates (`NAME.vectors.json`), replayed on this device.
///
/// In an app's test target: add the file and its `vectors` folder as resources, and
/// `let report = try await GoldenVectors(contentsOf: url).replay(base)`. Files of schema 2 and 3 are read.
public struct GoldenVectors: Sendable {
    /// What differed by how much.
    public struct Report: Equatable, Sendable, CustomStringConvertible {
        public var exercises: [Exercise] = []

        /// Everything that is outside the tolerances, in words; empty on a device that behaves as one of the known ways.
        public var problems: [String] { exercises.flatMap(\.problems) }

        public var description: String { exercises.map(\.description).joined(separator: "\n") }
    }

    /// One exercise: asked as the model is, or after an update.
    public struct Exercise: Equatable, Sendable, CustomStringConvertible {
        public let name: String
        /// The largest difference of a probability.
        public let largest: Double
        /// How this device reads what Apple leaves open, as far as it is not as the simulator assumes; see docs/probes.md.
        public let choices: [String: String]
        public let problems: [String]

        public var description: String {
            let device = choices.sorted { $0.key < $1.key }.map { ", \($0.key) = \($0.value)" }.joined()
            return "\(name): largest difference \(largest)\(device)" + problems.map { "\n  \($0)" }.joined()
        }
    }

    private let document: Document
    private let folder: URL

    public init(contentsOf file: URL) throws {
        document = try JSONDecoder().decode(Document.self, from: Data(contentsOf: file))
        folder = file.deletingLastPathComponent()
    }

    /// The most rows that an update learns.
    package var learnedRows: Int { document.exercises.compactMap { $0.update?.rows.count }.max() ?? 0 }

    /// Asks `base`, updates it in a temporary folder, and asks again, once for each exercise.
    public func replay(_ base: Base) async throws -> Report { try await replay(base) { _, _ in } }

    /// `mistake` changes the plan and the order of the rows of each update: for tests of the vectors themselves.
    package func replay(_ base: Base, mistake: @Sendable (inout Plan, inout [Int]) -> Void) async throws -> Report {
        var report = Report()
        for exercise in document.exercises { report.exercises.append(try await run(exercise, base, mistake)) }
        return report
    }

    private func run(
        _ exercise: Document.Exercise, _ base: Base, _ mistake: @Sendable (inout Plan, inout [Int]) -> Void
    ) async throws -> Exercise {
        let work = FileManager.default.temporaryDirectory.appendingPathComponent("golden-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: work) }
        let model = try PersonalModel(base, folder: work), events = UpdateEvents()
        if let update = exercise.update {
            var plan = update.plan, order = Array(update.rows.indices)
            mistake(&plan, &order)
            for row in order.map({ update.rows[$0] }) {
                guard let label = row.label else { throw PersonalizationError.damaged("golden vectors") }
                try await model.remember(input(row), as: label)
            }
            for try await _ in model.learn(plan, noting: events) {}
        }
        var answers: [Answer] = []
        for row in exercise.asked { answers.append(try await model.predict(input(row))) }
        let judged = exercise.outcomes.map { outcome in
            judge(exercise, outcome, answers, exercise.update == nil ? [:] : events.losses)
        }
        let passed = judged.filter(\.problems.isEmpty)
        guard let best = (passed.isEmpty ? judged : passed).min(by: { ($0.largest, $0.problems.count) < ($1.largest, $1.problems.count) }) else {
            throw PersonalizationError.damaged("golden vectors")
        }
        return best
    }

    private func judge(
        _ exercise: Document.Exercise, _ outcome: Document.Outcome, _ answers: [Answer], _ losses: [String: [Double]]
    ) -> Exercise {
        let tolerance = exercise.tolerance
        var problems: [String] = [], largest = 0.0
        for (index, (found, expected)) in zip(answers, outcome.answers).enumerated() {
            let probabilities = expected.probabilities
            var difference = 0.0
            for label in Set(probabilities.keys).union(found.probabilities.keys) {
                let share = probabilities[label] ?? 0
                difference = max(difference, abs(share - (found.probabilities[label] ?? 0)) / max(1, abs(share)))
            }
            largest = max(largest, difference)
            let second = probabilities.values.sorted().dropLast().last ?? 0, first = probabilities.values.max() ?? 0
            let tied = first - second <= 2 * tolerance
            if difference > tolerance || (found.label != expected.label && !tied) {
                problems.append("row \(index + 1): \(found.label), expected \(expected.label ?? ""); probabilities differ by \(difference)")
            }
        }
        for (event, expected) in (outcome.losses ?? [:]).sorted(by: { $0.key < $1.key }) {
            let found = losses[event] ?? []
            guard found.count == expected.count else {
                problems.append("\(event) came \(found.count) times, expected \(expected.count)")
                continue
            }
            let offs = lossesOff(expected, found, level: document.lossTolerance, change: exercise.changeTolerance)
            if let worst = offs.indices.max(by: { offs[$0] < offs[$1] }), !(offs[worst] <= 1) {
                problems.append(
                    "\(event) \(worst + 1) of \(expected.count): lossValue \(found[worst]), expected \(expected[worst]): \(offs[worst]) times what is allowed")
            }
        }
        return Exercise(name: exercise.name, largest: largest, choices: outcome.assumptions ?? [:], problems: problems)
    }

    /// In tolerances. Rounding moves all losses alike, so where a loss falls steadily, its change is held closer.
    private func lossesOff(_ expected: [Double], _ found: [Double], level: Double, change: Double?) -> [Double] {
        let noChange = 1e-3
        var offs = zip(expected, found).map { abs($0 - $1) / (level * max(1, abs($0))) }
        if let change, let first = expected.first, let foundFirst = found.first {
            let allowed = change * max(expected.map { abs($0 - first) }.max() ?? 0, noChange)
            for index in offs.indices {
                offs[index] = max(offs[index], abs((expected[index] - first) - (found[index] - foundFirst)) / allowed)
            }
        }
        return offs
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

/// `NAME.vectors.json`, of schema 3; one of schema 2 is read as two exercises of one outcome each.
private struct Document: Decodable, Sendable {
    struct Outcome: Decodable, Sendable { let assumptions: [String: String]?, answers: [Row], losses: [String: [Double]]? }

    struct Exercise: Decodable, Sendable {
        let name: String
        let tolerance: Double
        let changeTolerance: Double?
        let update: Update?
        let asked: [Row]
        let outcomes: [Outcome]

        enum CodingKeys: String, CodingKey {
            case name, tolerance, update, asked, outcomes
            case changeTolerance = "change_tolerance"
        }
    }

    let lossTolerance: Double
    let exercises: [Exercise]

    private enum Keys: String, CodingKey {
        case schema, exercises, tolerances, rows, before, update
        case lossTolerance = "loss_tolerance"
    }
    private struct Tolerances: Decodable { let before: Double, after: Double }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        switch try container.decode(Int.self, forKey: .schema) {
        case 2:
            let tolerances = try container.decode(Tolerances.self, forKey: .tolerances)
            let rows = try container.decode([Row].self, forKey: .rows), before = try container.decode([Row].self, forKey: .before)
            lossTolerance = 1
            var both = [
                Exercise(
                    name: "before", tolerance: tolerances.before, changeTolerance: nil, update: nil, asked: rows,
                    outcomes: [Outcome(assumptions: nil, answers: before, losses: nil)])
            ]
            if let update = try container.decodeIfPresent(Update.self, forKey: .update) {
                both.append(
                    Exercise(
                        name: "after", tolerance: tolerances.after, changeTolerance: nil, update: update, asked: rows,
                        outcomes: [Outcome(assumptions: nil, answers: update.after ?? [], losses: nil)]))
            }
            exercises = both
        case 3:
            lossTolerance = try container.decode(Double.self, forKey: .lossTolerance)
            exercises = try container.decode([Exercise].self, forKey: .exercises)
        case let other:
            throw DecodingError.dataCorruptedError(
                forKey: .schema, in: container, debugDescription: "golden vectors of schema \(other), expected 2 or 3")
        }
        guard exercises.allSatisfy({ each in each.outcomes.allSatisfy { $0.answers.count == each.asked.count } }) else {
            throw DecodingError.dataCorruptedError(forKey: .exercises, in: container, debugDescription: "one answer a row is expected")
        }
    }
}

private struct Update: Decodable, Sendable {
    let parameters: [String: Parameter]
    let rows: [Row]
    /// Of schema 2.
    let after: [Row]?

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
        private struct Photo: Decodable { let photo: String }
        private struct Array: Decodable { let shape: [Int], values: [Float] }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let picture = try? container.decode(Picture.self) {
                self = .picture(picture.png)
            } else if let photo = try? container.decode(Photo.self) {
                self = .picture(photo.photo)
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
