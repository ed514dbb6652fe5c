// swift run coreml-probes PROBES                       what this Mac answers to the probes, as JSON
// swift run coreml-probes VECTORS.json MODEL.mlmodel   whether it answers and learns as the golden vectors say
import CoreML
import Foundation
import Personalization
import PersonalizationTesting

@main
struct CoreMLProbes {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst()).map { URL(fileURLWithPath: $0) }
        do {
            switch arguments.count {
            case 1: try await probe(arguments[0])
            case 2: try await replay(arguments[0], arguments[1])
            default:
                complain("usage: coreml-probes PROBES (a folder that `coreml-updatable probes` wrote), or coreml-probes VECTORS.json MODEL.mlmodel")
                exit(2)
            }
        } catch {
            complain("coreml-probes: \((error as? any LocalizedError)?.errorDescription ?? "\(error)")")
            exit(1)
        }
    }

    static func probe(_ folder: URL) async throws {
        let results = try await Probes(contentsOf: folder).run { complain("\($0): \($1)") }
        print(String(decoding: results, as: UTF8.self))
    }

    static func replay(_ vectors: URL, _ file: URL) async throws {
        let compiled = try await MLModel.compileModel(at: file)
        defer { try? FileManager.default.removeItem(at: compiled) }
        let base = try Base.bundled(ModelID(file.deletingPathExtension().lastPathComponent), model: compiled)
        let report = try await GoldenVectors(contentsOf: vectors).replay(base)
        print(report)
        if !report.problems.isEmpty { exit(1) }
    }

    static func complain(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}
