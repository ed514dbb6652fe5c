import Foundation
import Testing

@testable import Personalization

@Test func aBackupBringsThePersonBack() async throws {
    let model = try await Fixtures.model(), photo = Input.file(Fixtures.pancakes[0])
    for pancake in Fixtures.pancakes.prefix(3) { try await model.remember(.file(pancake), as: Meal.healthy) }
    try await learn(model)
    let archive = try Fixtures.temporary().appendingPathComponent("lessons.tar")
    try await model.backUp(to: archive)

    let other = try await Fixtures.model(build: "second")
    try await other.remember(.file(Fixtures.pancakes[4]), as: Meal.fastFood)
    try await other.restore(from: archive)
    #expect(try await other.lessons == model.lessons)
    #expect(try await other.needsLearning)
    try await learn(other)
    #expect(try await other.predict(photo).label == "healthy")
    #expect(try FileManager.default.contentsOfDirectory(atPath: archive.deletingLastPathComponent().path) == ["lessons.tar"])
}

@Test func whatIsNotAnArchiveChangesNothing() async throws {
    let model = try await Fixtures.model()
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    try await learn(model)
    let folder = try Fixtures.temporary(), good = folder.appendingPathComponent("good.tar")
    try await model.backUp(to: good)
    let lessons = try await model.lessons, answer = try await model.predict(.file(Fixtures.pancakes[1]))
    let bytes = try Data(contentsOf: good)
    var broken: [Data] = [Data(), Data("not a tar".utf8), bytes.prefix(700), bytes.dropLast(1024 + 512)]
    var flipped = bytes
    flipped[bytes.count - 2000] ^= 1
    broken.append(flipped)
    let manifest = String(decoding: bytes.dropFirst(512).prefix { $0 != 0 }, as: UTF8.self)
    #expect(manifest.contains("\"HealthyLuncher\""))
    for content in broken {
        let file = folder.appendingPathComponent("broken.tar")
        try content.write(to: file)
        await #expect(throws: PersonalizationError.self) { try await model.restore(from: file) }
        #expect(try await model.lessons == lessons)
        #expect(try await model.predict(.file(Fixtures.pancakes[1])) == answer)
    }
    await #expect(throws: PersonalizationError.self) { try await model.restore(from: folder.appendingPathComponent("missing.tar")) }
}

/// An archive that Python wrote (tests/personalization/test_lessons.py writes and reads the same files).
@Test func anArchiveOfAnotherModelIsRefused() async throws {
    let pose = try PersonalModel(await Fixtures.base(build: "pose", name: "HandPose"), folder: try Fixtures.temporary())
    try await pose.remember(.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21]), as: "pause")
    let archive = try Fixtures.temporary().appendingPathComponent("pose.tar")
    try await pose.backUp(to: archive)
    let model = try await Fixtures.model()
    await #expect(throws: PersonalizationError.self) { try await model.restore(from: archive) }
    #expect(try await model.lessons.isEmpty)
}
