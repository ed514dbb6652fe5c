import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// One GET that takes no more bytes than it may, and goes on where an earlier one broke off.
final class Transfer: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let lock = NSLock()
    private let url: URL
    private let limit: Int
    private let file: FileHandle?
    private var received = 0
    private var data = Data()
    private var failure: (any Error)?
    private var waiting: CheckedContinuation<Data, any Error>?

    private init(_ url: URL, limit: Int, file: FileHandle?, offset: Int) {
        self.url = url
        self.limit = limit
        self.file = file
        received = offset
    }

    /// The body, in memory.
    static func data(_ url: URL, limit: Int, _ configuration: URLSessionConfiguration) async throws -> Data {
        try await Transfer(url, limit: limit, file: nil, offset: 0).run(configuration)
    }

    /// The body, in `file`; what is in it already is taken as the beginning.
    static func file(_ url: URL, limit: Int, to file: URL, _ configuration: URLSessionConfiguration) async throws {
        if !FileManager.default.fileExists(atPath: file.path) { try written(file) { try Data().write(to: file) } }
        let handle = try written(file) { try FileHandle(forUpdating: file) }
        defer { try? handle.close() }
        let offset = Int(try written(file) { try handle.seekToEnd() })
        _ = try await Transfer(url, limit: limit, file: handle, offset: offset).run(configuration)
        try written(file) { try handle.synchronize() }
    }

    private func run(_ configuration: URLSessionConfiguration) async throws -> Data {
        var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData)
        if received > 0 { request.setValue("bytes=\(received)-", forHTTPHeaderField: "Range") }
        let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
        defer { session.finishTasksAndInvalidate() }
        let task = session.dataTask(with: request)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                lock.withLock { waiting = continuation }
                task.resume()
            }
        } onCancel: {
            task.cancel()
        }
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        let problem = lock.withLock { () -> (any Error)? in
            failure = failure ?? refusal(response)
            return failure
        }
        completionHandler(problem == nil ? .allow : .cancel)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive bytes: Data) {
        let stop = lock.withLock {
            guard failure == nil else { return true }
            do {
                guard received + bytes.count <= limit else { throw PersonalizationError.tooLarge(url.lastPathComponent, limit: limit) }
                if let file { try written(url) { try file.write(contentsOf: bytes) } } else { data += bytes }
                received += bytes.count
                return false
            } catch {
                failure = error
                return true
            }
        }
        if stop { dataTask.cancel() }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let (waiting, result) = lock.withLock {
            defer { self.waiting = nil }
            let problem = failure ?? ((error as? URLError)?.code == .cancelled ? CancellationError() : error)
            return (self.waiting, problem.map { .failure($0) } ?? Result<Data, any Error>.success(data))
        }
        waiting?.resume(with: result)
    }

    /// Why this answer is not taken. A server that does not go on where we want begins again.
    private func refusal(_ response: URLResponse) -> (any Error)? {
        guard let http = response as? HTTPURLResponse else { return nil }
        let isPage = http.mimeType == "text/html"
        switch http.statusCode {
        // A status says more than its page: most sites answer 404 with one. 511: "network authentication required".
        case 200 where isPage, 206 where isPage, 511: return PersonalizationError.captivePortal(url)
        case 206:
            let range = http.value(forHTTPHeaderField: "Content-Range") ?? ""
            return received > 0 && range.hasPrefix("bytes \(received)-") ? nil : PersonalizationError.wrongContent(url.lastPathComponent)
        case 200:
            received = 0
            do {
                try written(url) { try file?.truncate(atOffset: 0) }
                return nil
            } catch {
                return error
            }
        default: return PersonalizationError.server(status: http.statusCode, url: url)
        }
    }
}
