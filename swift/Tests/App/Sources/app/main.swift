// app SITE KEY PHOTO: what the model says of the photo, before and after it has learned that the meal is healthy.
import Foundation
import HealthyLuncher
import Personalization

let given = CommandLine.arguments
let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
defer { try? FileManager.default.removeItem(at: folder) }
let catalogue = Catalogue(
    site: URL(string: given[1])!, publicKeys: [given[2]], folder: folder.appendingPathComponent("catalogue"))
let base = try await catalogue.base(HealthyLuncher.id)
let model = try PersonalModel(base, folder: folder.appendingPathComponent("lunch"))
let photo = Input.file(URL(fileURLWithPath: given[3]))
print(try await model.predict(photo).label)
try await model.remember(photo, as: HealthyLuncher.Label.healthy)
for try await _ in model.learn() {}
print(try await model.predict(photo).label)
