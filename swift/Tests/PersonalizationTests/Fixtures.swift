import CoreML
import Foundation
import Testing

@testable import Personalization

/// What swift/test.py built: models, golden vectors and photos.
enum Fixtures {
    static let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["FIXTURES"] ?? "build/swift/fixtures")
    /// Five photos for the owner to teach; the others are held out.
    static let pancakes = Array(drawn("pancakes").prefix(5))

    /// 20 drawn photos that no model has seen.
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
            return (try await MLModel.compileModel(at: source), sha256(try Data(contentsOf: source)))
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

enum Meal: String, CaseIterable { case healthy, fastFood = "fast-food" }
