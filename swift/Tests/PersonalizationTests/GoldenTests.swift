import Foundation
import PersonalizationTesting
import Testing

@testable import Personalization

private let recorded: [(String, String, ModelID.Form)] = [
    ("first", "HealthyLuncher", .network), ("first", "HealthyLuncher", .neighbors), ("pose", "HandPose", .network), ("pose", "HandPose", .neighbors),
]

private func vectors(_ build: String, _ name: String, _ form: ModelID.Form) throws -> GoldenVectors {
    let file = "\(name)\(form == .neighbors ? "KNN" : "").vectors.json"
    return try GoldenVectors(contentsOf: Fixtures.folder.appendingPathComponent(build).appendingPathComponent(file))
}

/// A device passes if it matches one outcome of each exercise, and the report says which.
@Test(arguments: recorded) func goldenVectors(build: String, name: String, form: ModelID.Form) async throws {
    let report = try await vectors(build, name, form).replay(Fixtures.base(form, build: build, name: name))
    #expect(report.problems.isEmpty)
    #expect(report.exercises.count >= 3)
    #expect(report.exercises.allSatisfy { $0.largest < 1e-4 })
    let losses = form == .neighbors ? nil : report.exercises.first { $0.name == "after" }?.choices["epoch_loss"]
    let assumed = (ProcessInfo.processInfo.environment["ASSUMED"] ?? "").contains("epoch_loss")
    #expect((losses != nil) == (assumed && form != .neighbors))
}

@Test func goldenVectorsNoticeAnotherModel() async throws {
    let report = try await vectors("first", "HealthyLuncher", .network).replay(Fixtures.base(build: "second"))
    #expect(!report.problems.isEmpty)
}

typealias Mistake = @Sendable (inout Plan, inout [Int]) -> Void

private let mistakes: [(String, Mistake)] = [
    ("9 epochs instead of 10", { plan, _ in plan.epochs = plan.epochs! - 1 }),
    ("a rate 10% higher", { plan, _ in plan.learningRate = plan.learningRate! * 1.1 }),
    ("a rate 10% lower", { plan, _ in plan.learningRate = plan.learningRate! * 0.9 }),
    ("momentum 0.1", { plan, _ in plan.momentum = 0.1 }),
    ("another order", { _, rows in rows.reverse() }),
    ("a forgotten row", { _, rows in rows.removeLast() }),
]

@Test(arguments: ["HealthyLuncher", "HandPose"]) func goldenVectorsNoticeEachMistake(name: String) async throws {
    let build = name == "HandPose" ? "pose" : "first", base = try await Fixtures.base(build: build, name: name)
    for (mistake, make) in mistakes {
        let report = try await vectors(build, name, .network).replay(base, mistake: make)
        #expect(!report.problems.isEmpty, "\(mistake) was not noticed")
    }
}

@Test(arguments: ["HealthyLuncher", "HandPose"]) func goldenVectorsNoticeEachForgottenNeighbor(name: String) async throws {
    let build = name == "HandPose" ? "pose" : "first", base = try await Fixtures.base(.neighbors, build: build, name: name)
    let vectors = try vectors(build, name, .neighbors)
    #expect(vectors.learnedRows >= 3)
    for row in 0..<vectors.learnedRows {
        let report = try await vectors.replay(base) { _, rows in rows.removeAll { $0 == row } }
        #expect(!report.problems.isEmpty, "row \(row) was forgotten, and nobody noticed")
    }
}

@Test func goldenVectorsOfSchema2AreRead() async throws {
    let file = Fixtures.folder.appendingPathComponent("first/HealthyLuncher.vectors.json")
    var document = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as! [String: Any]
    let exercises = document["exercises"] as! [[String: Any]]
    func answers(_ exercise: [String: Any]) -> Any { (exercise["outcomes"] as! [[String: Any]])[0]["answers"]! }
    var update = exercises[1]["update"] as! [String: Any]
    update["after"] = answers(exercises[1])
    update["sensitive"] = [String]()
    document["exercises"] = nil
    document.merge(
        [
            "schema": 2, "tolerances": ["before": 0.01, "after": 0.02], "rows": exercises[0]["asked"]!,
            "before": answers(exercises[0]), "update": update,
        ]
    ) { $1 }
    let old = file.deletingLastPathComponent().appendingPathComponent("Old.vectors.json")
    try JSONSerialization.data(withJSONObject: document).write(to: old)
    let report = try await GoldenVectors(contentsOf: old).replay(Fixtures.base())
    #expect(report.problems.isEmpty)
    #expect(report.exercises.map(\.name) == ["before", "after"])
}
