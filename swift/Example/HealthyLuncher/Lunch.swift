import Foundation
import Personalization

/// The one personal model of the app.
actor Lunch {
    static let shared = Lunch()
    /// False: the model is in the app's bundle.
    static let usesCatalogue = true
    static let taskIdentifier = "org.example.HealthyLuncher.learn"

    private var opened: PersonalModel?

    /// Opens it once; every part of the app uses the same instance.
    func model() async throws -> PersonalModel {
        if let opened { return opened }
        let folder = try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let model = try await Self.usesCatalogue ? HealthyLuncher.open(in: folder) : Self.bundled(in: folder)
        if let opened { return opened }  // another caller was faster
        opened = model
        return model
    }

    /// Looks for a newer base, and carries the owner's lessons over to it.
    func update() async throws {
        guard Self.usesCatalogue else { return }
        let folder = try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let model = try await model(), catalogue = HealthyLuncher.catalogue(in: folder)
        let newest = try await catalogue.newest(HealthyLuncher.id)
        guard await model.base != newest else { return }
        for try await _ in model.rebase(on: newest) {}
        try await catalogue.prune()
    }

    private static func bundled(in folder: URL) throws -> PersonalModel {
        guard let compiled = Bundle.main.url(forResource: "HealthyLuncher", withExtension: "mlmodelc") else {
            throw PersonalizationError.damaged("HealthyLuncher.mlmodelc")
        }
        return try PersonalModel(Base.bundled(HealthyLuncher.id, model: compiled), folder: folder.appendingPathComponent("HealthyLuncher"))
    }
}
