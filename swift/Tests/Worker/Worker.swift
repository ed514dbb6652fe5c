// A process for the tests to kill, or to run out of disk: `worker MODEL.mlmodelc SUM FOLDER learn|full`, for HandPose.
import Foundation
import Personalization

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

@main struct Worker {
    static func main() async throws {
        let arguments = CommandLine.arguments
        let base = Base(
            id: ModelID("HandPose"), version: "first", sha256: arguments[2], model: URL(fileURLWithPath: arguments[1]))
        let folder = URL(fileURLWithPath: arguments[3])
        let model = try PersonalModel(base, folder: folder)
        if arguments[4] == "full" { try await runOutOfDisk(model, folder) } else { try await work(model, folder) }
    }

    /// Everything that writes, for as long as it may.
    static func work(_ model: PersonalModel, _ folder: URL) async throws {
        say("ready")
        let archive = folder.deletingLastPathComponent().appendingPathComponent("lessons.tar")
        let plan = Plan(epochs: 2)
        while true {
            try await model.remember(pose(), as: model.labels[0])
            for try await _ in model.learn(plan) {}
            try await model.backUp(to: archive)
            let lessons = try await model.lessons
            if lessons.count > 3 { try await model.forget(lessons[0].id) }
            try await model.restore(from: archive)
            for try await _ in model.learn(plan) {}
            if lessons.count > 5 { try await model.reset() }
        }
    }

    /// No file may grow beyond a few bytes from now on, as on a full disk; says what each attempt throws.
    static func runOutOfDisk(_ model: PersonalModel, _ folder: URL) async throws {
        signal(SIGXFSZ, SIG_IGN)
        // Room for a catalogue's index, and for a part of its model.
        allow(64 << 10)
        let environment = ProcessInfo.processInfo.environment
        let site = URL(string: environment["CATALOGUE_SITE"] ?? "")!.appendingPathComponent("unsigned")
        let catalogue = Catalogue(site: site, folder: folder.deletingLastPathComponent().appendingPathComponent("catalogue"), trust: .unsigned)
        await attempt { _ = try await catalogue.newest(ModelID("HealthyLuncher")) }
        allow(16)
        await attempt { _ = try await catalogue.newest(ModelID("HealthyLuncher")) }
        await attempt { _ = try await model.remember(pose(), as: model.labels[0]) }
        await attempt { for try await _ in model.learn(Plan(epochs: 1)) {} }
        await attempt { try await model.backUp(to: folder.appendingPathComponent("lessons.tar")) }
        await attempt { try await model.reset() }
        await attempt { try await model.restore(from: folder.deletingLastPathComponent().appendingPathComponent("good.tar")) }
    }

    /// So many bytes a file.
    static func allow(_ bytes: UInt) {
        #if canImport(Darwin)
            var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t.max)
            setrlimit(RLIMIT_FSIZE, &limit)
        #else
            var limit = rlimit(rlim_cur: bytes, rlim_max: UInt.max)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        #endif
    }

    static func attempt(_ action: () async throws -> Void) async {
        do {
            try await action()
            say("written")
        } catch let error as PersonalizationError {
            if case .cannotWrite = error { say("cannotWrite") } else { say("\(error)") }
        } catch {
            say("untyped \(error)")
        }
    }

    static func pose() -> Input { .array((0..<63).map { _ in Float.random(in: -1...1) }, shape: [1, 3, 21]) }

    static func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }
}
