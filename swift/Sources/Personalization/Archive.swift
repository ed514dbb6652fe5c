import CryptoKit
import Foundation

/// An archive of lessons: an uncompressed tar (POSIX ustar), `lessons.json` first, then one file an example
/// (docs/lessons.md). It is written and read in bounded steps, and names other than these are refused.
enum LessonArchive {
    static let maxBytes = 1 << 30
    private static let block = 512

    static func write(_ manifest: LessonManifest, of store: LessonStore, to archive: URL) throws {
        let partial = archive.appendingPathExtension("partial")
        defer { try? FileManager.default.removeItem(at: partial) }
        try store.storage.write(Data(), to: partial)
        let handle = try FileHandle(forWritingTo: partial)
        defer { try? handle.close() }
        func append(_ name: String, _ data: Data) throws {
            try written(archive) {
                try handle.write(contentsOf: header(name, size: data.count))
                try handle.write(contentsOf: data)
                try handle.write(contentsOf: Data(count: padding(data.count)))
            }
        }
        try append(LessonManifest.name, manifest.data())
        for lesson in manifest.lessons { try append(lesson.file, store.example(lesson).bytes) }
        try written(archive) {
            try handle.write(contentsOf: Data(count: 2 * block))
            try handle.synchronize()
            try handle.close()
        }
        try replace(archive, with: partial)
    }

    /// The manifest, and each example as it comes; nothing is written anywhere. An archive of another model ends it first.
    static func read(_ archive: URL, of model: String, each: (Lesson, Data) throws -> Void) throws -> LessonManifest {
        guard let handle = try? FileHandle(forReadingFrom: archive), let end = try? handle.seekToEnd(), (try? handle.seek(toOffset: 0)) != nil
        else { throw PersonalizationError.invalidArchive("\(archive.lastPathComponent) cannot be read") }
        defer { try? handle.close() }
        guard end <= UInt64(maxBytes) else { throw PersonalizationError.tooLarge(archive.lastPathComponent, limit: maxBytes) }
        guard let (name, size) = try entry(handle), name == LessonManifest.name, size <= LessonManifest.maxBytes,
            let manifest = LessonManifest(try content(handle, size))
        else { throw PersonalizationError.invalidArchive("it does not begin with \(LessonManifest.name) of format \(LessonManifest.format)") }
        guard manifest.model == model else { throw PersonalizationError.otherModel(found: manifest.model, expected: model) }
        var open = Dictionary(uniqueKeysWithValues: manifest.lessons.map { ($0.file, $0) })
        while let (name, size) = try entry(handle) {
            guard let lesson = open.removeValue(forKey: name), lesson.size == size else {
                throw PersonalizationError.invalidArchive("it holds an entry that \(LessonManifest.name) does not name")
            }
            let data = try content(handle, size)
            guard sha256(data) == lesson.sha256 else { throw PersonalizationError.invalidArchive("the sum of \(name) does not match") }
            try each(lesson, data)
        }
        guard open.isEmpty else { throw PersonalizationError.invalidArchive("\(open.count) of its lessons are missing") }
        return manifest
    }

    private static func padding(_ size: Int) -> Int { (block - size % block) % block }

    private static func header(_ name: String, size: Int) -> Data {
        var header = Data(count: block)
        func put(_ text: String, at offset: Int) { header.replaceSubrange(offset..<offset + text.utf8.count, with: Data(text.utf8)) }
        func octal(_ number: Int, _ width: Int) -> String {
            let digits = String(number, radix: 8)
            return String(repeating: "0", count: width - digits.count) + digits
        }
        put(name, at: 0)
        put(octal(0o600, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(0, 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar\0" + "00", at: 257)
        put(octal(header.reduce(0) { $0 + Int($1) }, 6) + "\0 ", at: 148)
        return header
    }

    /// Name and size of the next regular file; nil at the end.
    private static func entry(_ handle: FileHandle) throws -> (String, Int)? {
        let header = [UInt8](try next(handle, block))
        if header.allSatisfy({ $0 == 0 }) { return nil }
        func text(_ range: Range<Int>) -> String {
            String(decoding: header.dropFirst(range.lowerBound).prefix(range.count).prefix { $0 != 0 }, as: UTF8.self)
        }
        func number(_ range: Range<Int>) -> Int? { Int(text(range).trimmingCharacters(in: .whitespaces), radix: 8) }
        var sum = 0
        for (index, byte) in header.enumerated() { sum += (148..<156).contains(index) ? 32 : Int(byte) }
        guard text(257..<262) == "ustar", number(148..<156) == sum, ["0", ""].contains(text(156..<157)), text(345..<500).isEmpty,
            let size = number(124..<136), size >= 0, size <= Example.maxBytes
        else { throw PersonalizationError.invalidArchive("it is not a tar archive of plain files") }
        return (text(0..<100), size)
    }

    private static func content(_ handle: FileHandle, _ size: Int) throws -> Data {
        let whole = size + padding(size)
        return try whole > 0 ? next(handle, whole).prefix(size) : Data()
    }

    private static func next(_ handle: FileHandle, _ count: Int) throws -> Data {
        guard let data = try? handle.read(upToCount: count), data.count == count else {
            throw PersonalizationError.invalidArchive("it ends in the middle")
        }
        return data
    }
}

/// Puts `new` in the place of `file` in one step.
func replace(_ file: URL, with new: URL) throws {
    guard rename(new.path, file.path) == 0 else { throw PersonalizationError.cannotWrite(file.lastPathComponent) }
}
