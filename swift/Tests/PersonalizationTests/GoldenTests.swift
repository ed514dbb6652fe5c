import Foundation
import PersonalizationTesting
import Testing

@testable import Personalization

@Test(arguments: [("first", "HealthyLuncher", ModelID.Form.network), ("first", "HealthyLuncher", .neighbors), ("pose", "HandPose", .network)])
func goldenVectors(build: String, name: String, form: ModelID.Form) async throws {
    let file = Fixtures.folder.appendingPathComponent(build).appendingPathComponent("\(name)\(form == .neighbors ? "KNN" : "").vectors.json")
    let report = try await GoldenVectors(contentsOf: file).replay(Fixtures.base(form, build: build, name: name))
    #expect(report.problems.isEmpty)
    #expect(report.before < 1e-4)
}

@Test func goldenVectorsNoticeAnotherModel() async throws {
    let file = Fixtures.folder.appendingPathComponent("first/HealthyLuncher.vectors.json")
    let report = try await GoldenVectors(contentsOf: file).replay(Fixtures.base(build: "second"))
    #expect(!report.problems.isEmpty)
}
