import CoreML
import Foundation
import Testing

@testable import Personalization

/// A replay set as builds write it: `rows` of a feature's value and a label.
private func replaySet(_ rows: [[String: Any]], in folder: URL) throws -> URL {
    let document: [String: Any] = [
        "schema": 1, "model": "Any.mlmodel", "sha256": String(repeating: "0", count: 64), "choice": "herding", "per_class": 1, "rows": rows,
    ]
    let file = folder.appendingPathComponent("Any.replay.json")
    try JSONSerialization.data(withJSONObject: document).write(to: file)
    return file
}

extension Base {
    fileprivate func with(replay: URL?) -> Base {
        Base(id: id, version: version, sha256: sha256, model: model, extractor: extractor, replay: replay)
    }
}

private func numbers(_ values: [Float], _ shape: [Int]) -> [String: Any] {
    ["shape": shape, "float32": values.withUnsafeBytes { Data($0) }.base64EncodedString()]
}

private func embedding(_ base: Base, _ photo: URL) throws -> (String, MLMultiArray) {
    let extractor = try MLModel(contentsOf: #require(base.extractor)), input = try ModelInput(extractor.modelDescription)
    let row = try MLDictionaryFeatureProvider(dictionary: [input.name: input.value(input.example(.file(photo)))])
    let answer = try extractor.prediction(from: row)
    let name = try #require(try MLModel(contentsOf: base.model).modelDescription.inputDescriptionsByName.keys.first)
    return (name, try #require(answer.featureValue(for: name)?.multiArrayValue))
}

/// Mixed in, base examples teach what the same examples teach as lessons behind the owner's: pictures for the whole model, or
/// embeddings for the head of a split.
@Test(arguments: [ModelID.Form.network, .split]) func aReplaySetIsMixedIn(form: ModelID.Form) async throws {
    let base = try await Fixtures.base(form), folder = try Fixtures.temporary(), burgers = Fixtures.photos("burger").prefix(2)
    var rows: [[String: Any]] = []
    for (number, burger) in burgers.enumerated() {
        if form == .split {
            let (name, values) = try embedding(base, burger)
            rows.append([name: numbers((0..<values.count).map { values[$0].floatValue }, values.shape.map(\.intValue)), "label": "fast-food"])
        } else {
            try FileManager.default.createDirectory(at: folder.appendingPathComponent("replay"), withIntermediateDirectories: true)
            try FileManager.default.copyItem(at: burger, to: folder.appendingPathComponent("replay/Any-0\(number).png"))
            rows.append(["image": ["png": "replay/Any-0\(number).png"], "label": "fast-food"])
        }
    }
    let replayed = base.with(replay: try replaySet(rows, in: folder))
    let mixed = try PersonalModel(replayed, folder: Fixtures.temporary()), taught = try PersonalModel(base, folder: Fixtures.temporary())
    let plain = try PersonalModel(replayed, folder: Fixtures.temporary())
    for model in [mixed, taught, plain] { try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy) }
    for burger in burgers { try await taught.remember(.file(burger), as: Meal.fastFood) }
    for model in [mixed, taught] { try await learn(model) }
    try await learn(plain, Plan(mixesReplay: false))
    let answers = try await [mixed, taught, plain].asyncMap { try await $0.predict(.file(Fixtures.pancakes[1])) }
    #expect(abs(answers[0].probabilities["healthy"]! - answers[1].probabilities["healthy"]!) < 1e-4)
    #expect(abs(answers[0].probabilities["healthy"]! - answers[2].probabilities["healthy"]!) > 1e-3)
    // They are no lessons: nothing is stored, and forgetting the one lesson brings the base back.
    #expect(try await mixed.lessons.count == 1)
    let needsLearning = try await mixed.needsLearning
    #expect(!needsLearning)
    try await mixed.forget(mixed.lessons[0].id)
    #expect(try await mixed.predict(.file(Fixtures.pancakes[1])).label == "fast-food")
}

/// A k-NN keeps its base's examples by itself.
@Test func aNeighborNeedsNoReplay() async throws {
    let base = try await Fixtures.base(.neighbors).with(replay: URL(fileURLWithPath: "/nowhere"))
    let model = try PersonalModel(base, folder: try Fixtures.temporary())
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    try await learn(model)
}

@Test func whatIsNotAReplaySetIsNamed() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPose"), folder = try Fixtures.temporary()
    let pose = [Float](repeating: 0.5, count: 63), good = numbers(pose, [1, 3, 21])
    let broken: [[[String: Any]]] = [
        [], [["poses": ["png": "../../secret.png"], "label": "play"]], [["poses": ["png": "missing.png"], "label": "play"]],
        [["poses": good, "label": "nobody knows it"]], [["poses": good]], [["label": "play"]],
        [["poses": numbers(pose, [1, 3, 20]), "label": "play"]], [["poses": numbers(Array(pose.dropLast()), [1, 3, 21]), "label": "play"]],
    ]
    for rows in broken {
        let model = try PersonalModel(base.with(replay: replaySet(rows, in: folder)), folder: Fixtures.temporary())
        try await model.remember(.array(pose, shape: [1, 3, 21]), as: "pause")
        await #expect(throws: PersonalizationError.self) { try await learn(model, Plan(epochs: 1)) }
        #expect(try await model.needsLearning)
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}

/// With the replay set of a build, a model answers as the golden vectors expect, which learned the same rows in Python. (Golden
/// vectors hold rounded numbers, and the set does not.)
@Test func swiftMixesAsPythonDoes() async throws {
    let folder = Fixtures.folder.appendingPathComponent("pose"), set = folder.appendingPathComponent("HandPose.replay.json")
    let rows = try GoldenRows(folder.appendingPathComponent("HandPose.vectors.json"), "with the replay set")
    let base = try await Fixtures.base(build: "pose", name: "HandPose").with(replay: set)
    let model = try PersonalModel(base, folder: Fixtures.temporary()), replayed = try ReplaySet(contentsOf: set).count
    #expect(replayed == 8)
    for row in rows.owner.dropLast(replayed) { try await model.remember(.array(row.values, shape: row.shape), as: row.label) }
    try await learn(model, Plan(miniBatchSize: rows.miniBatchSize, shuffle: false))
    for (asked, expected) in zip(rows.asked, rows.answers) {
        let answer = try await model.predict(.array(asked.values, shape: asked.shape))
        for (label, share) in expected { #expect(abs(answer.probabilities[label]! - share) < 0.002) }
    }
}
