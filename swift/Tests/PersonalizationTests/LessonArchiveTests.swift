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
        #expect(try await model.predict(.file(Fixtures.pancakes[1])).isLike(answer))
    }
    for file in [folder.appendingPathComponent("missing.tar"), folder] {
        await #expect(throws: PersonalizationError.self) { try await model.restore(from: file) }
    }
    // Where nothing can be written, the model is as it was, too.
    await #expect(throws: PersonalizationError.cannotWrite("no.tar.partial")) {
        try await model.backUp(to: folder.appendingPathComponent("missing/no.tar"))
    }
}

@Test func anArchiveOfAnotherModelIsRefused() async throws {
    let pose = try PersonalModel(await Fixtures.base(build: "pose", name: "HandPose"), folder: try Fixtures.temporary())
    try await pose.remember(.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21]), as: "pause")
    let archive = try Fixtures.temporary().appendingPathComponent("pose.tar")
    try await pose.backUp(to: archive)
    let model = try await Fixtures.model()
    await #expect(throws: PersonalizationError.otherModel(found: "HandPose", expected: "HealthyLuncher")) { try await model.restore(from: archive) }
    #expect(try await model.lessons.isEmpty)
}

/// An archive as this package writes it, of poses made here.
private func archive(_ count: Int, label: (Int) -> String, shape: [Int] = [1, 3, 21]) throws -> URL {
    let store = LessonStore(folder: try Fixtures.temporary(), storage: Storage(), limits: LessonLimits(count: .max))
    var manifest = LessonManifest(model: "HandPose", base: "")
    try store.storage.createFolder(store.folder.appendingPathComponent("lessons"))
    for number in 0..<count {
        let values = (0..<63).map { Float($0 + number) / 63 }, bytes = values.withUnsafeBytes { Data($0) }
        let lesson = Lesson(
            id: UUID(), label: label(number), date: Date(timeIntervalSince1970: Double(number)), kind: .float32, shape: shape,
            sha256: sha256(bytes))
        try bytes.write(to: store.folder.appendingPathComponent(lesson.file))
        manifest.lessons.append(lesson)
    }
    let file = store.folder.appendingPathComponent("lessons.tar")
    try LessonArchive.write(manifest, of: store, to: file)
    return file
}

private func taughtPose() async throws -> (PersonalModel, Input) {
    let model = try PersonalModel(await Fixtures.base(build: "pose", name: "HandPose"), folder: try Fixtures.temporary())
    let pose = Input.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21])
    try await model.remember(pose, as: "pause")
    try await learn(model, Plan(epochs: 1))
    return (model, pose)
}

/// What is restored is bounded as what is remembered is: the newest and most diverse are kept.
@Test func tenThousandLessonsAreBounded() async throws {
    let (model, _) = try await taughtPose()
    let labels = try await model.labels
    let many = try archive(10_000) { $0 % 10 == 0 ? labels[1] : labels[0] }
    defer { try? FileManager.default.removeItem(at: many.deletingLastPathComponent()) }
    try await model.restore(from: many)
    let lessons = try await model.lessons
    #expect(lessons.count == 200)
    #expect(lessons.last?.date == Date(timeIntervalSince1970: 9999))
    #expect(lessons.allSatisfy { $0.date >= Date(timeIntervalSince1970: 8000) })
    #expect(Set(lessons.map(\.label)).count == 2)
}

@Test func moreThanTenThousandAreRefused() async throws {
    let (model, pose) = try await taughtPose()
    let answer = try await model.predict(pose), lessons = try await model.lessons
    let file = try archive(10_001) { _ in "pause" }
    defer { try? FileManager.default.removeItem(at: file.deletingLastPathComponent()) }
    await #expect(throws: PersonalizationError.self) { try await model.restore(from: file) }
    #expect(try await model.lessons == lessons)
    #expect(try await model.predict(pose).isLike(answer))
}

/// A base that is older than the backup does not know its newest label, or takes another input.
@Test func whatABaseCannotLearnChangesNothing() async throws {
    let (model, pose) = try await taughtPose()
    let answer = try await model.predict(pose), lessons = try await model.lessons, known = try await model.labels
    let newer = try archive(3) { $0 == 2 ? "thumbs-up" : "pause" }
    await #expect(throws: PersonalizationError.unknownLabel("thumbs-up", known: known)) { try await model.restore(from: newer) }
    let wider = try archive(2, label: { _ in "pause" }, shape: [63])
    await #expect(throws: PersonalizationError.self) { try await model.restore(from: wider) }
    #expect(try await model.lessons == lessons)
    #expect(try await model.predict(pose).isLike(answer))
    let needsLearning = try await model.needsLearning
    #expect(!needsLearning)
}
