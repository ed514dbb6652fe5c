// How the stand-in works: it asks the project's own simulator, a line server on loopback (simulator.py).
import Glibc

/// One question, one connection: a JSON line there, JSON lines back; `each` sees every event and answers it.
func ask(_ question: [String: Any], each: ([String: Any]) -> [String: Any] = { _ in [:] }) throws -> [String: Any] {
    guard let port = ProcessInfo.processInfo.environment["COREML_SIMULATOR"].flatMap(UInt16.init) else {
        throw MLModelError(.io, userInfo: ["why": "COREML_SIMULATOR names no port"])
    }
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw MLModelError(.io, userInfo: ["why": "no socket"]) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard connected == 0, let stream = fdopen(descriptor, "r") else {
        close(descriptor)
        throw MLModelError(.io, userInfo: ["why": "no simulator at port \(port)"])
    }
    defer { fclose(stream) }
    try send(question, to: descriptor)
    var line: UnsafeMutablePointer<CChar>?, size = 0
    defer { free(line) }
    while true {
        let length = getline(&line, &size, stream)
        guard length > 0, let line else { throw MLModelError(.io, userInfo: ["why": "the simulator hung up"]) }
        let answer = try JSONSerialization.jsonObject(with: Data(bytes: line, count: length)) as? [String: Any] ?? [:]
        if let why = answer["error"] as? String { throw MLModelError(.generic, userInfo: ["why": why]) }
        if answer["event"] == nil { return answer }
        try send(each(answer), to: descriptor)
    }
}

private func send(_ object: [String: Any], to descriptor: Int32) throws {
    let line = try JSONSerialization.data(withJSONObject: object) + [10]
    try line.withUnsafeBytes {
        var sent = 0
        while sent < $0.count {
            let count = Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw MLModelError(.io, userInfo: ["why": "the simulator hung up"]) }
            sent += count
        }
    }
}

func json(_ row: any MLFeatureProvider) -> [String: Any] {
    var features: [String: Any] = [:]
    for name in row.featureNames {
        guard let value = row.featureValue(for: name) else { continue }
        switch value.type {
        case .string: features[name] = value.stringValue
        case .multiArray: features[name] = ["shape": value.multiArrayValue!.shape.map(\.intValue), "values": value.multiArrayValue!.values]
        case .image: features[name] = picture(value.imageBufferValue!)
        case .int64: features[name] = value.int64Value
        default: features[name] = value.doubleValue
        }
    }
    return features
}

/// A feature of an answer: text, a number, an array {"shape", "values"} or probabilities.
func value(_ answer: Any) throws -> Any {
    guard let object = answer as? [String: Any] else { return answer }
    if let shape = object["shape"] as? [Int], let numbers = object["values"] as? [NSNumber] {
        let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: .float32)
        array.values = numbers.map(\.doubleValue)
        return array
    }
    return try MLFeatureValue(dictionary: object.mapValues { $0 as? NSNumber ?? 0 })
}

private func picture(_ buffer: CVPixelBuffer) -> [String: Any] {
    let width = CVPixelBufferGetWidth(buffer), height = CVPixelBufferGetHeight(buffer)
    let color = CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA
    var pixels = Data(capacity: width * height * 4)
    for row in 0..<height {
        let line = CVPixelBufferGetBaseAddress(buffer)! + row * CVPixelBufferGetBytesPerRow(buffer)
        pixels.append(line.assumingMemoryBound(to: UInt8.self), count: width * (color ? 4 : 1))
    }
    return ["pixels": pixels.base64EncodedString(), "wide": width, "high": height, "gray": !color]
}

func buffer(of pixels: Data, wide: Int, high: Int, format: OSType) throws -> CVPixelBuffer {
    var result: CVPixelBuffer?
    let width = wide * (format == kCVPixelFormatType_32BGRA ? 4 : 1)
    guard CVPixelBufferCreate(nil, wide, high, format, nil, &result) == kCVReturnSuccess, let result, pixels.count == width * high
    else { throw MLModelError(.io) }
    pixels.withUnsafeBytes {
        for row in 0..<high {
            let line = CVPixelBufferGetBaseAddress(result)! + row * CVPixelBufferGetBytesPerRow(result)
            line.copyMemory(from: $0.baseAddress! + row * width, byteCount: width)
        }
    }
    return result
}

extension MLModelDescription {
    func read(_ answer: [String: Any]) {
        func features(_ key: String) -> [String: MLFeatureDescription] {
            let all = answer[key] as? [[String: Any]] ?? []
            return Dictionary(uniqueKeysWithValues: all.map { feature in
                let name = feature["name"] as! String
                if let size = feature["image"] as? [Int] {
                    let format = feature["gray"] as? Bool == true ? kCVPixelFormatType_OneComponent8 : kCVPixelFormatType_32BGRA
                    return (name, MLFeatureDescription(name: name, type: .image, image: .init(high: size[0], wide: size[1], format: format)))
                }
                if let shape = feature["array"] as? [Int] {
                    let constraint = MLMultiArrayConstraint(shape: shape.map { NSNumber(value: $0) }, dataType: .float32)
                    return (name, MLFeatureDescription(name: name, type: .multiArray, array: constraint))
                }
                let type: MLFeatureType = feature["dictionary"] != nil ? .dictionary : feature["number"] != nil ? .int64 : .string
                return (name, MLFeatureDescription(name: name, type: type))
            })
        }
        inputDescriptionsByName = features("inputs")
        trainingInputDescriptionsByName = features("training")
        outputDescriptionsByName = features("outputs")
        isUpdatable = answer["updatable"] as? Bool ?? false
        predictedFeatureName = answer["label"] as? String
        predictedProbabilitiesName = answer["probabilities"] as? String
        classLabels = answer["labels"] as? [Any]
        metadata = [.creatorDefinedKey: answer["metadata"] as? [String: String] ?? [:]]
        for parameter in answer["parameters"] as? [[String: Any]] ?? [] {
            let key = MLParameterKey(name: parameter["name"] as! String)
            let bounds = (parameter["min"] as? NSNumber).map {
                MLNumericConstraint(
                    min: $0, max: parameter["max"] as! NSNumber, allowed: (parameter["allowed"] as? [NSNumber]).map(Set.init))
            }
            parameterDescriptionsByKey[key] = MLParameterDescription(
                key: key, defaultValue: parameter["default"]!, numericConstraint: bounds)
        }
    }
}
