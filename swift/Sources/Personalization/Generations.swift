import CoreML

/// The personal models in a folder, and one small file that names the one in force. A crash at any moment leaves the old one
/// or the new one.
struct Generations {
    struct Pointer: Codable {
        let format: Int
        let name: String
        /// The sum of the base that it was trained from.
        let base: String
        let lessons: [UUID]
    }

    let folder: URL
    let storage: Storage
    private var pointerFile: URL { folder.appendingPathComponent("personal.json") }

    /// Held while something learns.
    var lockFile: URL { folder.appendingPathComponent("learning.lock") }

    /// The generation in force, if it belongs to `base` and is all there. One that cannot be read now is an error, and not none.
    func current(of base: String) throws -> Pointer? {
        guard let pointer = try pointer(), pointer.format == 1, pointer.base == base, isGeneration(pointer.name),
            FileManager.default.fileExists(atPath: url(pointer).path)
        else { return nil }
        return pointer
    }

    private func pointer() throws -> Pointer? {
        guard FileManager.default.fileExists(atPath: pointerFile.path) else { return nil }
        let data = try readBounded(pointerFile, limit: 1 << 20)
        return try? JSONDecoder().decode(Pointer.self, from: data)
    }

    func url(_ pointer: Pointer) -> URL { folder.appendingPathComponent(pointer.name) }

    func save(_ model: any MLModel & MLWritable, base: String, lessons: [UUID]) throws {
        let partial = folder.appendingPathComponent("\(UUID().uuidString).partial.mlmodelc")
        defer { try? FileManager.default.removeItem(at: partial) }
        try written(partial) { try model.write(to: partial) }
        let fresh = Pointer(format: 1, name: "\(UUID().uuidString).mlmodelc", base: base, lessons: lessons)
        try written(url(fresh)) { try FileManager.default.moveItem(at: partial, to: url(fresh)) }
        let before = try pointer()?.name
        try storage.write(try JSONEncoder().encode(fresh), to: pointerFile)
        remove { $0 != fresh.name && $0 != before }  // whoever loaded the one before may read it a moment longer
    }

    func forget() throws {
        if FileManager.default.fileExists(atPath: pointerFile.path) {
            try written(pointerFile) { try FileManager.default.removeItem(at: pointerFile) }
        }
        remove { _ in true }
    }

    /// Removes what a crash left, unless somebody learns right now; `all` of it where there are no lessons.
    func removeLeftovers(all: Bool) {
        try? FileLock.holding(lockFile, wait: false) {
            let name = try pointer()?.name
            if all { try forget() } else { remove { $0 != name } }
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            for file in files where file.hasPrefix("restoring-") {
                try FileManager.default.removeItem(at: folder.appendingPathComponent(file))
            }
        }
    }

    private func remove(_ condition: (String) -> Bool) {
        for file in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        where file.hasSuffix(".mlmodelc") && condition(file) {
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(file))
        }
    }

    private func isGeneration(_ name: String) -> Bool {
        name.hasSuffix(".mlmodelc") && UUID(uuidString: String(name.dropLast(".mlmodelc".count))) != nil
    }
}
