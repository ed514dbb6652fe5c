import Foundation
import Testing

@testable import Personalization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

private let luncher = ModelID("HealthyLuncher")

private func site(_ name: String) -> URL {
    URL(string: ProcessInfo.processInfo.environment["CATALOGUE_SITE"] ?? "http://127.0.0.1:1")!.appendingPathComponent(name)
}

private func key() throws -> String {
    try String(contentsOf: Fixtures.folder.appendingPathComponent("public-key.txt"), encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
}

private func catalogue(_ name: String, _ folder: URL? = nil, now: @escaping @Sendable () -> Date = { Date() }) throws -> Catalogue {
    Catalogue(
        site: site(name), folder: try folder ?? Fixtures.temporary(), trust: .signed(publicKeys: [try key()]), now: now)
}

@Test(arguments: [ModelID.Form.network, .neighbors, .split]) func theNewestIsInstalled(form: ModelID.Form) async throws {
    let folder = try Fixtures.temporary(), id = ModelID("HealthyLuncher", form: form)
    let catalogue = try catalogue("site", folder)
    #expect(await catalogue.installed(id) == nil)
    let base = try await catalogue.newest(id)
    #expect(base.version == "1.1")
    #expect((base.extractor != nil) == (form == .split))
    let model = try PersonalModel(base, folder: Fixtures.temporary())
    #expect(try await model.predict(.file(Fixtures.pancakes[0])).label == "fast-food")

    // Offline, and in another launch: what is installed is found without the network.
    let offline = Catalogue(site: site("site"), folder: folder, trust: .signed(publicKeys: []))
    #expect(await offline.installed(id) == base)
    #expect(try await catalogue.newest(id) == base)
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasSuffix(".mlmodelc") && !$0.hasSuffix(".replay") }
    #expect(left.sorted() == ["catalogue.json", "catalogue.lock"])
}

/// The base examples that the catalogue has for a model are mixed into what it learns: those of the head, if that alone learns.
@Test(arguments: [ModelID.Form.network, .neighbors, .split]) func aReplaySetComesWithTheModel(form: ModelID.Form) async throws {
    let folder = try Fixtures.temporary(), id = ModelID("HandPose", form: form)
    let base = try await catalogue("site", folder).newest(id)
    #expect((base.replay != nil) == (form != .neighbors))
    #expect(try await catalogue("site", folder).newest(id) == base)
    let model = try PersonalModel(base, folder: Fixtures.temporary())
    try await model.remember(.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21]), as: "pause")
    try await learn(model)
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasSuffix(".mlmodelc") && !$0.hasSuffix(".replay") }
    #expect(left.sorted() == ["catalogue.json", "catalogue.lock"])
}

/// A set of pictures comes with them, each verified, and teaches what the same pictures teach as lessons behind the owner's.
@Test func aReplaySetOfPicturesComesWithTheModel() async throws {
    let base = try await catalogue("site").newest(luncher), file = try #require(base.replay)
    let document = try ReplaySet.document(Data(contentsOf: file), "set"), folder = file.deletingLastPathComponent()
    #expect(document.pictures.count == 4)
    let plain = Base(id: base.id, version: base.version, sha256: base.sha256, model: base.model)
    var answers: [Answer] = []
    for (base, isTaught) in [(base, false), (plain, true), (plain, false)] {
        let model = try PersonalModel(base, folder: Fixtures.temporary())
        try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
        for row in isTaught ? document.rows : [] {
            guard case .picture(let png)? = row["image"], case .label(let label)? = row["label"] else { throw CocoaError(.featureUnsupported) }
            try await model.remember(.file(folder.appendingPathComponent(png)), as: label)
        }
        try await learn(model)
        answers.append(try await model.predict(.file(Fixtures.pancakes[1])))
    }
    let shares = answers.map { $0.probabilities["healthy"] ?? -1 }
    #expect(abs(shares[0] - shares[1]) < 1e-4 && abs(shares[0] - shares[2]) > 1e-3)

    // Pictures of a split's set are embeddings by then.
    let split = try await catalogue("site").newest(ModelID("HealthyLuncher", form: .split))
    #expect(try ReplaySet.document(Data(contentsOf: #require(split.replay)), "set").pictures.isEmpty)
    // A picture that breaks off, or that is another, is not installed.
    for place in ["half-pictures", "wrong-pictures"] {
        let folder = try Fixtures.temporary(), catalogue = try catalogue(place, folder)
        await #expect(throws: (any Error).self) { try await catalogue.newest(luncher) }
        #expect(await catalogue.installed(luncher) == nil)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains(".replay") }
        #expect(left.isEmpty)
    }
}

@Test func aBrokenDownloadGoesOn() async throws {
    let folder = try Fixtures.temporary(), catalogue = try catalogue("half", folder)
    await #expect(throws: (any Error).self) { try await catalogue.newest(luncher) }
    let partial = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".partial") }
    #expect(partial.count == 1)
    #expect(await catalogue.installed(luncher) == nil)
    let base = try await catalogue.newest(luncher)
    #expect(base.version == "1.1")
}

@Test func faultsOfTheNetworkAreToldApart() async throws {
    await #expect(throws: PersonalizationError.captivePortal(site("portal/index.json"))) { try await catalogue("portal").newest(luncher) }
    await #expect(throws: PersonalizationError.server(status: 404, url: site("missing/index.json"))) {
        try await catalogue("missing").newest(luncher)
    }
    await #expect(throws: PersonalizationError.server(status: 503, url: site("broken/index.json"))) {
        try await catalogue("broken").newest(luncher)
    }
    var limits = Catalogue.Limits()
    limits.indexBytes = 1 << 20
    let endless = Catalogue(site: site("endless"), folder: try Fixtures.temporary(), trust: .unsigned, limits: limits)
    await #expect(throws: PersonalizationError.tooLarge("index.json", limit: 1 << 20)) { try await endless.newest(luncher) }
    let nobody = Catalogue(site: URL(string: "http://127.0.0.1:1/")!, folder: try Fixtures.temporary(), trust: .unsigned)
    await #expect(throws: URLError.self) { try await nobody.newest(luncher) }
    await #expect(throws: PersonalizationError.notInCatalogue("Nothing")) { try await catalogue("site").newest(ModelID("Nothing")) }
}

/// Two parts of an app, or an app and its extension, which ask for the same model at once.
@Test func twoFetchAtOnce() async throws {
    let folder = try Fixtures.temporary(), id = ModelID("HandPose")
    let bases = try await withThrowingTaskGroup(of: Base.self) { group in
        for _ in 0..<4 {
            let catalogue = try catalogue("site", folder)
            group.addTask { try await catalogue.newest(id) }
        }
        return try await group.reduce(into: [Base]()) { $0.append($1) }
    }
    #expect(Set(bases.map(\.model)).count == 1)
    _ = try PersonalModel(bases[0], folder: Fixtures.temporary())
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("partial") }
    #expect(left.isEmpty)
}

/// A file that is there and cannot be read, as on a locked device: nothing of it is forgotten.
@Test func whatCannotBeReadIsNotForgotten() async throws {
    let folder = try Fixtures.temporary(), catalogue = try catalogue("site", folder)
    _ = try await catalogue.newest(luncher)
    try hide(folder.appendingPathComponent("catalogue.json"))
    await #expect(throws: PersonalizationError.cannotRead("catalogue.json")) { try await catalogue.newest(luncher) }
    #expect(await catalogue.installed(luncher) == nil)
    try unhide(folder.appendingPathComponent("catalogue.json"))
    #expect(await catalogue.installed(luncher)?.version == "1.1")
}

@Test func aWrongModelIsNotInstalled() async throws {
    let folder = try Fixtures.temporary(), catalogue = try catalogue("wrong", folder)
    await #expect(throws: PersonalizationError.wrongContent("HealthyLuncher.mlmodel")) { try await catalogue.newest(luncher) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["catalogue.json", "catalogue.lock"])
}

@Test func onlyWhatIsSignedFreshAndNewCounts() async throws {
    await #expect(throws: PersonalizationError.untrusted("index.json")) { try await catalogue("unknown").newest(luncher) }
    await #expect(throws: PersonalizationError.untrusted("index.json")) { try await catalogue("unsigned").newest(luncher) }
    let unsigned = Catalogue(site: site("unsigned"), folder: try Fixtures.temporary(), trust: .unsigned)
    #expect(try await unsigned.newest(luncher).version == "1.0")
    do {
        let later = Date(timeIntervalSinceNow: 400 * 86400)
        _ = try await catalogue("site", now: { later }).newest(luncher)
        Issue.record("an expired index was taken")
    } catch PersonalizationError.expired {}
    // The same site, which shows an older index after a newer one.
    let folder = try Fixtures.temporary()
    _ = try await catalogue("site", folder).newest(luncher)
    try move(folder, from: "site", to: "old")
    do {
        _ = try await catalogue("old", folder).newest(luncher)
        Issue.record("an old index was taken")
    } catch PersonalizationError.rolledBack(let found, let seen) {
        #expect(found < seen)
    }
    #expect(await (try catalogue("old", folder)).installed(luncher)?.version == "1.1")
}

/// What was seen at one address is taken for what was seen at another: as if a site had changed in the meantime.
private func move(_ folder: URL, from old: String, to new: String) throws {
    let state = folder.appendingPathComponent("catalogue.json"), seen = try String(contentsOf: state, encoding: .utf8)
    let moved = seen.replacingOccurrences(of: "\\/\(old)\\/", with: "\\/\(new)\\/").replacingOccurrences(of: "/\(old)/", with: "/\(new)/")
    #expect(moved != seen)
    try Data(moved.utf8).write(to: state)
}

/// A site that was signed with one key, then with two, then only with the new one.
@Test func aKeyIsChanged() async throws {
    let stranger = Data(repeating: 7, count: 32).base64EncodedString()
    let several = Catalogue(site: site("site"), publicKeys: [stranger, "no key", try key()], folder: try Fixtures.temporary())
    #expect(try await several.newest(luncher).version == "1.1")
    let folder = try Fixtures.temporary()
    _ = try await catalogue("both", folder).newest(luncher)
    try move(folder, from: "both", to: "next")
    #expect(try await catalogue("next", folder).newest(luncher).version == "1.1")
    // The old key no longer counts for whoever has seen the new index, and the new one counts for nobody who has not.
    try move(folder, from: "next", to: "old")
    await #expect(throws: PersonalizationError.untrusted("index.json")) { try await catalogue("old", folder).newest(luncher) }
    await #expect(throws: PersonalizationError.untrusted("index.json")) { try await catalogue("next").newest(luncher) }
}

@Test func oldModelsArePruned() async throws {
    let folder = try Fixtures.temporary()
    let first = try await catalogue("old", folder).newest(luncher)
    let catalogue = try catalogue("site", folder)
    let second = try await catalogue.newest(luncher)
    #expect(FileManager.default.fileExists(atPath: first.model.path))
    try await catalogue.prune()
    #expect(!FileManager.default.fileExists(atPath: first.model.path))
    #expect(await catalogue.installed(luncher) == second)
}
