// HealthyLuncher in an app or a Swift package: add this file, and the Swift package Personalization (iOS 16 or later; the model itself iOS 13 or later).
import Foundation
import Personalization

public enum HealthyLuncher {
    public enum Label: String, CaseIterable, Sendable {
        case fastFood = "fast-food"
        case healthy = "healthy"
    }

    public static let id = ModelID("HealthyLuncher")
    public static let site = URL(string: "https://example.org/models/")!

    /// The personal model; fetched and verified once, then found in `folder` without the network.
    public static func open(in folder: URL) async throws -> PersonalModel {
        try await PersonalModel(catalogue(in: folder).base(id), folder: folder.appendingPathComponent("HealthyLuncher"))
    }

    public static func catalogue(in folder: URL) -> Catalogue {
        // Sign the catalogue before you ship the app: whoever can change what this site answers can change the model.
        Catalogue(site: site, folder: folder.appendingPathComponent("catalogue"), trust: .unsigned)
    }
}
