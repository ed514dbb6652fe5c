import CoreML
import VideoToolbox
import Vision

/// One row as a model takes it: pixels already cropped and scaled, or numbers.
///
/// Pixels are stored raw, so that nothing has to be decoded that comes from outside.
public struct Example: Sendable, Equatable {
    /// How `bytes` are read; the names are those of the lessons' archive.
    public enum Kind: String, Codable, Sendable {
        /// Shape [height, width, 3], red first.
        case rgb8
        /// Shape [height, width].
        case gray8
        /// Any shape, 32-bit floating point, little-endian, in the order of C.
        case float32
    }

    public let kind: Kind
    public let shape: [Int]
    public let bytes: Data

    static let maxBytes = 64 << 20

    /// The number of bytes that `kind` and `shape` ask for; nil where the shape is not possible.
    static func size(_ kind: Kind, _ shape: [Int]) -> Int? {
        switch kind {
        case .rgb8: guard shape.count == 3, shape[2] == 3 else { return nil }
        case .gray8: guard shape.count == 2 else { return nil }
        case .float32: guard (1...8).contains(shape.count) else { return nil }
        }
        var size = kind == .float32 ? 4 : 1
        for length in shape {
            guard length > 0, length <= maxBytes, size <= maxBytes / length else { return nil }
            size *= length
        }
        return size
    }
}

/// The one input of a model, and how an ``Input`` becomes an ``Example`` and a feature value for it.
struct ModelInput {
    let name: String
    let kind: Example.Kind
    let shape: [Int]
    private let image: MLImageConstraint?
    private let crop: VNImageCropAndScaleOption

    /// `crop` as the model's metadata have it: what training used.
    init(_ description: MLModelDescription) throws {
        guard description.inputDescriptionsByName.count == 1, let input = description.inputDescriptionsByName.values.first else {
            throw PersonalizationError.unsupportedModel("it has \(description.inputDescriptionsByName.count) inputs, and one is expected")
        }
        name = input.name
        image = input.imageConstraint
        if let image {
            let gray = image.pixelFormatType == kCVPixelFormatType_OneComponent8
            guard gray || image.pixelFormatType == kCVPixelFormatType_32BGRA else {
                throw PersonalizationError.unsupportedModel("its pictures have neither 8-bit colors nor 8-bit gray")
            }
            kind = gray ? .gray8 : .rgb8
            shape = [image.pixelsHigh, image.pixelsWide] + (gray ? [] : [3])
        } else if let array = input.multiArrayConstraint {
            kind = .float32
            shape = array.shape.map(\.intValue)
        } else {
            throw PersonalizationError.unsupportedModel("its input \(name) is neither a picture nor an array")
        }
        let metadata = description.metadata[.creatorDefinedKey] as? [String: String] ?? [:]
        crop = ["scaleFill": .scaleFill, "scaleFit": .scaleFit][metadata["coreml_updatable.crop"] ?? ""] ?? .centerCrop
    }

    var words: String { image == nil ? "an array of shape \(shape)" : "a picture" }

    func example(_ input: Input) throws -> Example {
        switch (input.content, image) {
        case (.array(let values, let found), nil):
            guard found == shape, values.count == found.reduce(1, *) else {
                throw PersonalizationError.unsuitableInput(found: "\(values.count) numbers of shape \(found)", expected: words)
            }
            guard values.allSatisfy(\.isFinite) else {
                throw PersonalizationError.unsuitableInput(found: "an array with infinite numbers or NaN", expected: "finite numbers")
            }
            return Example(kind: .float32, shape: shape, bytes: values.withUnsafeBytes { Data($0) })
        case (.file(let url), let image?):
            do {
                return try example(MLFeatureValue(imageAt: url, constraint: image, options: options))
            } catch let error as PersonalizationError {
                throw error
            } catch {
                throw PersonalizationError.unreadableImage(url.lastPathComponent)
            }
        case (.image(let picture, let orientation), let image?):
            return try example(fitted(picture, orientation, image))
        case (.pixelBuffer(let buffer, let orientation), let image?):
            var picture: CGImage?
            guard VTCreateCGImageFromCVPixelBuffer(buffer, options: nil, imageOut: &picture) == 0, let picture else {
                throw PersonalizationError.unsuitableInput(found: "a pixel buffer of an unknown format", expected: "32BGRA, for example")
            }
            return try example(fitted(picture, orientation, image))
        case (.array(_, let found), _?):
            throw PersonalizationError.unsuitableInput(found: "an array of shape \(found)", expected: words)
        case (_, nil):
            throw PersonalizationError.unsuitableInput(found: "a picture", expected: words)
        }
    }

    /// The example for this model; a picture of another size is scaled.
    func value(_ example: Example) throws -> MLFeatureValue {
        guard (example.kind == .float32) == (image == nil) else {
            throw PersonalizationError.unsuitableInput(found: "\(example.kind.rawValue) of shape \(example.shape)", expected: words)
        }
        if image == nil {
            guard example.shape == shape else {
                throw PersonalizationError.unsuitableInput(found: "an array of shape \(example.shape)", expected: words)
            }
            return MLFeatureValue(multiArray: try example.multiArray())
        }
        let buffer = try example.pixelBuffer()
        if example.kind == kind, example.shape == shape { return MLFeatureValue(pixelBuffer: buffer) }
        return try self.value(self.example(.pixelBuffer(buffer)))
    }

    private var options: [MLFeatureValue.ImageOption: Any] { [.cropAndScale: crop.rawValue] }

    private func fitted(_ picture: CGImage, _ orientation: CGImagePropertyOrientation, _ image: MLImageConstraint) throws
        -> MLFeatureValue
    {
        do {
            return try MLFeatureValue(cgImage: picture, orientation: orientation, constraint: image, options: options)
        } catch {
            throw PersonalizationError.coreML("\(error)")
        }
    }

    private func example(_ value: MLFeatureValue) throws -> Example {
        guard let buffer = value.imageBufferValue,
            CVPixelBufferGetPixelFormatType(buffer) == (kind == .gray8 ? kCVPixelFormatType_OneComponent8 : kCVPixelFormatType_32BGRA)
        else { throw PersonalizationError.coreML("it made no picture of the model's format of the input") }
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw PersonalizationError.coreML("a picture without pixels") }
        let height = CVPixelBufferGetHeight(buffer), width = CVPixelBufferGetWidth(buffer)
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        var bytes = Data(capacity: height * width * 3), colors = [UInt8](repeating: 0, count: width * 3)
        for row in 0..<height {
            let line = (base + row * stride).assumingMemoryBound(to: UInt8.self)
            if kind == .gray8 {
                bytes.append(line, count: width)
            } else {
                colors.withUnsafeMutableBufferPointer { colors in
                    for pixel in 0..<width {
                        colors[pixel * 3] = line[pixel * 4 + 2]
                        colors[pixel * 3 + 1] = line[pixel * 4 + 1]
                        colors[pixel * 3 + 2] = line[pixel * 4]
                    }
                }
                bytes.append(contentsOf: colors)
            }
        }
        return Example(kind: kind, shape: shape, bytes: bytes)
    }
}

extension Example {
    init(_ array: MLMultiArray) {
        kind = .float32
        shape = array.shape.map(\.intValue)
        bytes = (0..<array.count).map { array[$0].floatValue }.withUnsafeBytes { Data($0) }
    }

    func multiArray() throws -> MLMultiArray {
        let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: .float32)
        bytes.withUnsafeBytes {
            for index in 0..<array.count {
                array[index] = NSNumber(value: $0.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
            }
        }
        return array
    }

    func pixelBuffer() throws -> CVPixelBuffer {
        let height = shape[0], width = shape[1], gray = kind == .gray8
        var buffer: CVPixelBuffer?
        let format = gray ? kCVPixelFormatType_OneComponent8 : kCVPixelFormatType_32BGRA
        guard CVPixelBufferCreate(nil, width, height, format, nil, &buffer) == kCVReturnSuccess, let buffer else { throw PersonalizationError.coreML("no memory for a picture of \(width) x \(height)") }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw PersonalizationError.coreML("a picture without pixels") }
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        bytes.withUnsafeBytes { (pixels: UnsafeRawBufferPointer) in
            for row in 0..<height {
                let line = (base + row * stride).assumingMemoryBound(to: UInt8.self)
                for column in 0..<width {
                    let place = row * width + column
                    if gray {
                        line[column] = pixels[place]
                    } else {
                        line[column * 4] = pixels[place * 3 + 2]
                        line[column * 4 + 1] = pixels[place * 3 + 1]
                        line[column * 4 + 2] = pixels[place * 3]
                        line[column * 4 + 3] = 255
                    }
                }
            }
        }
        return buffer
    }
}
