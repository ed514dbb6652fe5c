import CoreML
import Foundation
import Testing

@testable import Personalization

/// What swift/test.py built: models, golden vectors and photos.
enum Fixtures {
    static let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["FIXTURES"] ?? "build/swift/fixtures")
    /// Five owners with three photos each to teach: the first fifteen, as they are numbered.
    static let owners = stride(from: 0, to: 15, by: 3).map { Array(drawn("pancakes")[$0..<$0 + 3]) }

    /// Photos for an owner to teach where nothing depends on which ones.
    static let pancakes = Array(drawn("pancakes").prefix(5))

    /// The last 20 photos as they are numbered, which no model has seen and nobody teaches.
    static func photos(_ kind: String) -> [URL] { Array(drawn(kind).suffix(20)) }

    private static func drawn(_ kind: String) -> [URL] {
        let photos = folder.appendingPathComponent("photos/\(kind)")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: photos.path)) ?? []
        return names.sorted().map { photos.appendingPathComponent($0) }
    }

    static func temporary() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    /// A base of the build `build`, compiled.
    static func base(_ form: ModelID.Form = .network, build: String = "first", name: String = "HealthyLuncher") async throws -> Base {
        func compiled(_ file: String) async throws -> (URL, String) {
            let source = folder.appendingPathComponent(build).appendingPathComponent(file)
            let model = try temporary().appendingPathComponent("model.mlmodelc")
            try await FileManager.default.moveItem(at: MLModel.compileModel(at: source), to: model)
            return (model, sha256(try Data(contentsOf: source)))
        }
        let id = ModelID(name, form: form)
        switch form {
        case .network:
            let (model, sum) = try await compiled("\(name).mlmodel")
            return Base(id: id, version: build, sha256: sum, model: model)
        case .neighbors:
            let (model, sum) = try await compiled("\(name)KNN.mlmodel")
            return Base(id: id, version: build, sha256: sum, model: model)
        case .split:
            let (model, sum) = try await compiled("\(name)Head.mlmodel")
            let (extractor, _) = try await compiled("\(name)Extractor.mlmodel")
            return Base(id: id, version: build, sha256: sum, model: model, extractor: extractor)
        }
    }

    static func model(_ form: ModelID.Form = .network, build: String = "first", limits: LessonLimits = LessonLimits()) async throws
        -> PersonalModel
    {
        try PersonalModel(await base(form, build: build), folder: temporary(), limits: limits)
    }
}

/// Learns to the end.
@discardableResult
func learn(_ model: PersonalModel, _ plan: Plan = Plan()) async throws -> [LearningProgress] {
    var reports: [LearningProgress] = []
    for try await report in model.learn(plan) { reports.append(report) }
    return reports
}

/// Makes a file unreadable, also for root: a folder takes its place.
func hide(_ file: URL) throws {
    try FileManager.default.moveItem(at: file, to: file.appendingPathExtension("hidden"))
    try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
}

func unhide(_ file: URL) throws {
    try FileManager.default.removeItem(at: file)
    try FileManager.default.moveItem(at: file.appendingPathExtension("hidden"), to: file)
}

enum Meal: String, CaseIterable { case healthy, fastFood = "fast-food" }

extension Answer {
    /// Whether one model gave both answers. The last bits may differ: the simulator, like Core ML, runs a model on another engine
    /// once it has been asked often, and each engine rounds in its own way.
    func isLike(_ other: Answer) -> Bool {
        label == other.label
            && Set(probabilities.keys).union(other.probabilities.keys).allSatisfy {
                abs((probabilities[$0] ?? 0) - (other.probabilities[$0] ?? 0)) < 1e-5
            }
    }
}

/// The rows of an exercise of golden vectors, for a model of poses.
struct GoldenRows {
    struct Row { let values: [Float], shape: [Int], label: String }
    let owner: [Row], asked: [Row], answers: [[String: Double]], miniBatchSize: Int?

    init(_ file: URL, _ name: String = "after") throws {
        let document = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as! [String: Any]
        let exercise = try #require((document["exercises"] as! [[String: Any]]).first { $0["name"] as? String == name })
        let update = exercise["update"] as! [String: Any]
        func rows(_ found: Any?) -> [Row] {
            (found as! [[String: Any]]).map { row in
                let poses = row["poses"] as! [String: Any]
                let values = (poses["values"] as! [NSNumber]).map(\.floatValue)
                return Row(values: values, shape: poses["shape"] as! [Int], label: row["label"] as? String ?? "")
            }
        }
        owner = rows(update["rows"])
        asked = rows(exercise["asked"])
        miniBatchSize = (update["parameters"] as! [String: Any])["miniBatchSize"] as? Int
        let outcome = (exercise["outcomes"] as! [[String: Any]])[0]
        answers = (outcome["answers"] as! [[String: Any]]).map { answer in
            let shares = answer.values.lazy.compactMap { $0 as? [String: Any] }.first ?? [:]
            return shares.compactMapValues { ($0 as? NSNumber)?.doubleValue }
        }
    }
}
