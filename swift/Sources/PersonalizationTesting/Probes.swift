import CoreML

/// Tiny models whose results tell what Core ML does where its documentation is silent (`coreml-updatable probes FOLDER` writes
/// them, docs/probes.md). Run them on a device, and send in the JSON.
public struct Probes: Sendable {
    private let folder: URL
    private let probes: [Probe]

    /// `folder` has `probes.json` and the models. In an app, add it to Xcode as a folder reference, so that Xcode does not compile
    /// the models.
    public init(contentsOf folder: URL) throws {
        self.folder = folder
        let data = try Data(contentsOf: folder.appendingPathComponent("probes.json"))
        probes = try JSONDecoder().decode(List.self, from: data).probes
    }

    /// What this device answers, as `coreml-updatable probes --read` takes it; `failed` is told of each probe that Core ML refuses.
    public func run(failed: @Sendable (String, any Error) -> Void = { _, _ in }) async throws -> Data {
        var results: [String: [Double?]] = [:]
        for probe in probes {
            do {
                // JSON has no NaN or infinity: such a number becomes null.
                results[probe.assumption] = try await numbers(of: probe).map { $0.isFinite ? $0 : nil }
            } catch {
                failed(probe.assumption, error)
            }
        }
        let date = ISO8601DateFormatter.string(from: Date(), timeZone: .current, formatOptions: .withFullDate)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return try encoder.encode(File(version: 2, device: Self.device, os: Self.system, date: date, results: results))
    }

    private struct File: Encodable {
        let version: Int, device: String, os: String, date: String
        let results: [String: [Double?]]
    }

    /// Such as "iPhone15,2"; on a Mac, "arm64".
    private static var device: String {
        var system = utsname()
        uname(&system)
        return withUnsafeBytes(of: &system.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static var system: String {
        #if os(iOS)
            let name = "iOS"
        #elseif os(macOS)
            let name = "macOS"
        #else
            let name = "another system"
        #endif
        return "\(name) \(ProcessInfo.processInfo.operatingSystemVersionString)"
    }

    // MARK: One probe

    private struct List: Decodable { let probes: [Probe] }

    private struct Probe: Decodable, Sendable {
        struct Change: Decodable, Sendable { let epoch: Int, parameters: [String: Double] }
        struct Read: Decodable, Sendable { let what: String, name: String, labels: [String] }
        let assumption: String, model: String
        let rows: [[String: [Double]]]
        let query: [String: [Double]]?
        let updates: Int
        let atEpochEnd: [Change]
        let read: Read
    }

    private func numbers(of probe: Probe) async throws -> [Double] {
        let compiled = try await MLModel.compileModel(at: folder.appendingPathComponent(probe.model))
        defer { try? FileManager.default.removeItem(at: compiled) }
        let losses = Losses()
        var newest = compiled
        for _ in 0..<(probe.rows.isEmpty ? 0 : probe.updates) {  // each starts from the original model
            if newest != compiled { try? FileManager.default.removeItem(at: newest) }
            newest = try await updated(compiled, probe, losses)
        }
        defer { if newest != compiled { try? FileManager.default.removeItem(at: newest) } }
        switch probe.read.what {
        case "mini-batch losses": return losses.batches
        case "epoch losses": return losses.epochs
        default: break
        }
        let model = try MLModel(contentsOf: newest, configuration: Self.configuration)
        guard let query = probe.query, let value = try model.prediction(from: features(query, model.modelDescription.inputDescriptionsByName))
            .featureValue(for: probe.read.name)
        else { throw CocoaError(.featureUnsupported) }
        switch probe.read.what {
        case "label": return [Double(value.stringValue) ?? .nan]
        case "count": return [Double(value.dictionaryValue.count)]
        case "probabilities": return probe.read.labels.map { value.dictionaryValue[$0]?.doubleValue ?? 0 }
        default:
            guard let array = value.multiArrayValue else { throw CocoaError(.featureUnsupported) }
            return (0..<array.count).map { array[$0].doubleValue }
        }
    }

    /// In full precision.
    private static var configuration: MLModelConfiguration {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = .cpuOnly
        return configuration
    }

    private func updated(_ compiled: URL, _ probe: Probe, _ losses: Losses) async throws -> URL {
        let inputs = try MLModel(contentsOf: compiled, configuration: Self.configuration).modelDescription.trainingInputDescriptionsByName
        let rows = MLArrayBatchProvider(array: try probe.rows.map { try features($0, inputs) })
        return try await withCheckedThrowingContinuation { (done: CheckedContinuation<URL, any Error>) in
            // Core ML calls both on a queue of its own.
            let onProgress: @Sendable (MLUpdateContext) -> Void = { context in
                losses.note(context)
                guard context.event == .epochEnd, let epoch = context.metrics[.epochIndex] as? Int,
                    let rate = probe.atEpochEnd.first(where: { $0.epoch == epoch })?.parameters["learningRate"]
                else { return }
                context.task.resume(withParameters: [.learningRate: rate])
            }
            let onCompletion: @Sendable (MLUpdateContext) -> Void = { context in
                done.resume(
                    with: Result {
                        if let error = context.task.error { throw error }
                        let updated = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).mlmodelc")
                        try context.model.write(to: updated)
                        return updated
                    })
            }
            do {
                let handlers = MLUpdateProgressHandlers(
                    forEvents: [.miniBatchEnd, .epochEnd], progressHandler: onProgress, completionHandler: onCompletion)
                try MLUpdateTask(
                    forModelAt: compiled, trainingData: rows, configuration: Self.configuration, progressHandlers: handlers
                ).resume()
            } catch {
                done.resume(throwing: error)
            }
        }
    }

    private func features(_ row: [String: [Double]], _ inputs: [String: MLFeatureDescription]) throws -> any MLFeatureProvider {
        var features: [String: Any] = [:]
        for (name, values) in row {
            let type = inputs[name]?.multiArrayConstraint?.dataType ?? .float32
            let array = try MLMultiArray(shape: [NSNumber(value: values.count)], dataType: type)
            for (index, value) in values.enumerated() { array[index] = NSNumber(value: value) }
            features[name] = array
        }
        return try MLDictionaryFeatureProvider(dictionary: features)
    }

    private final class Losses: @unchecked Sendable {
        private let lock = NSLock()
        private var noted: (batches: [Double], epochs: [Double]) = ([], [])
        var batches: [Double] { lock.withLock { noted.batches } }
        var epochs: [Double] { lock.withLock { noted.epochs } }

        func note(_ context: MLUpdateContext) {
            let loss = context.metrics[.lossValue] as? Double ?? .nan
            lock.withLock {
                if context.event == .miniBatchEnd { noted.batches.append(loss) }
                if context.event == .epochEnd { noted.epochs.append(loss) }
            }
        }
    }
}
