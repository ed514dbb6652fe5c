#if os(Linux)  // where the worker is built
import CoreML
import Foundation
import Testing

@testable import Personalization

/// Runs the worker of this package, which is beside the tests.
private func worker(_ base: Base, _ folder: URL, _ mode: String) throws -> (Process, FileHandle) {
    let process = Process(), output = Pipe()
    let tests = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    let places = [tests, Bundle.main.bundleURL].map { $0.deletingLastPathComponent().appendingPathComponent("personalization-worker") }
        + [URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("personalization-worker")]
    process.executableURL = try #require(places.first { FileManager.default.isExecutableFile(atPath: $0.path) })
    process.arguments = [base.model.path, base.sha256, folder.path, mode]
    // What Core ML was writing when it was killed is left where it keeps temporary files.
    process.environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": folder.deletingLastPathComponent().path]) { $1 }
    process.standardOutput = output
    try process.run()
    return (process, output.fileHandleForReading)
}

private let pose = Input.array((0..<63).map { Float($0) / 63 }, shape: [1, 3, 21])

/// Killed at 100 moments while it remembers, learns, backs up, forgets, restores and resets: the model loads, answers, and holds
/// every lesson that it lists.
@Test func aCrashAtAnyMomentLeavesAModel() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPose")
    let folder = try Fixtures.temporary().appendingPathComponent("model")
    var counts: Set<Int> = []
    for moment in 0..<100 {
        let (process, output) = try worker(base, folder, "learn")
        #expect(try output.read(upToCount: 6) == Data("ready\n".utf8))
        try await Task.sleep(nanoseconds: UInt64(moment) * 7_300_000)
        #expect(process.isRunning)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let model = try PersonalModel(base, folder: folder)
        let answer = try await model.predict(pose)
        #expect(abs(answer.probabilities.values.reduce(0, +) - 1) < 1e-3)
        let lessons = try await model.lessons
        for lesson in lessons { _ = try await model.example(of: lesson.id) }
        counts.insert(lessons.count)
    }
    #expect(counts.count > 2)  // it did get somewhere between two kills
    let model = try PersonalModel(base, folder: folder)
    try await model.remember(pose, as: "pause")
    try await learn(model, Plan(epochs: 1))
    let generations = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".mlmodelc") || $0.hasPrefix("restoring-") }
    #expect(generations.count <= 2)
}

@Test func aFullDiskIsATypedErrorAndTheModelIsAsItWas() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPose")
    let folder = try Fixtures.temporary().appendingPathComponent("model")
    let model = try PersonalModel(base, folder: folder)
    try await model.remember(pose, as: "pause")
    try await learn(model)
    try await model.backUp(to: folder.deletingLastPathComponent().appendingPathComponent("good.tar"))
    let before = try await model.predict(pose), lessons = try await model.lessons
    let (process, output) = try worker(base, folder, "full")
    let said = String(decoding: try output.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n")
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(said == Array(repeating: "cannotWrite", count: 7))
    let after = try PersonalModel(base, folder: folder)
    #expect(try await after.predict(pose).isLike(before))
    #expect(try await after.lessons == lessons)
    let learned = try await after.needsLearning
    #expect(!learned)
}
#endif
