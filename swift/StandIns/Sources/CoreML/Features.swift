// https://developer.apple.com/documentation/coreml: feature values, providers and descriptions. CoreML re-exports what its
// own headers import.
@_exported import CoreGraphics
@_exported import CoreVideo
@_exported import Foundation
@_exported import ImageIO

public enum MLFeatureType: Int, Sendable { case invalid = 0, int64, double, string, image, multiArray, dictionary, sequence, state }

public enum MLMultiArrayDataType: Int, Sendable {
    case double = 0x10040, float32 = 0x10020, float16 = 0x10010, int32 = 0x20020
    public static var float64: Self { .double }
    public static var float: Self { .float32 }
}

open class MLMultiArray: NSObject {
    public let shape: [NSNumber], strides: [NSNumber], dataType: MLMultiArrayDataType
    var values: [Double]
    public var count: Int { values.count }

    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        self.shape = shape
        self.dataType = dataType
        var stride = 1
        strides = shape.reversed().map { size in
            defer { stride *= size.intValue }
            return NSNumber(value: stride)
        }.reversed()
        values = Array(repeating: 0, count: stride)
    }

    open subscript(index: Int) -> NSNumber {
        get { NSNumber(value: values[index]) }
        set { values[index] = dataType == .float32 ? Double(newValue.floatValue) : newValue.doubleValue }
    }
}

open class MLSequence: NSObject {}

open class MLImageConstraint: NSObject {
    public let pixelsHigh: Int, pixelsWide: Int, pixelFormatType: OSType
    init(high: Int, wide: Int, format: OSType) {
        pixelsHigh = high
        pixelsWide = wide
        pixelFormatType = format
    }
}

open class MLMultiArrayConstraint: NSObject {
    public let shape: [NSNumber], dataType: MLMultiArrayDataType
    init(shape: [NSNumber], dataType: MLMultiArrayDataType) {
        self.shape = shape
        self.dataType = dataType
    }
}

open class MLFeatureDescription: NSObject {
    public let name: String, type: MLFeatureType, isOptional = false
    public let imageConstraint: MLImageConstraint?, multiArrayConstraint: MLMultiArrayConstraint?
    init(name: String, type: MLFeatureType, image: MLImageConstraint? = nil, array: MLMultiArrayConstraint? = nil) {
        self.name = name
        self.type = type
        imageConstraint = image
        multiArrayConstraint = array
    }
}

open class MLFeatureValue: NSObject {
    public struct ImageOption: Hashable, RawRepresentable, Sendable {
        public var rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public static let cropRect = ImageOption(rawValue: "cropRect"), cropAndScale = ImageOption(rawValue: "cropAndScale")
    }

    public let type: MLFeatureType
    let content: Any
    init(_ type: MLFeatureType, _ content: Any) {
        self.type = type
        self.content = content
    }

    public convenience init(int64 value: Int64) { self.init(.int64, value) }
    public convenience init(double value: Double) { self.init(.double, value) }
    public convenience init(string value: String) { self.init(.string, value) }
    public convenience init(multiArray value: MLMultiArray) { self.init(.multiArray, value) }
    public convenience init(pixelBuffer value: CVPixelBuffer) { self.init(.image, value) }
    public convenience init(dictionary value: [AnyHashable: NSNumber]) throws { self.init(.dictionary, value) }

    public convenience init(imageAt url: URL, constraint: MLImageConstraint, options: [ImageOption: Any]? = nil) throws {
        self.init(.image, try fitted(["path": url.path], nil, constraint, options))
    }
    public convenience init(
        imageAt url: URL, orientation: CGImagePropertyOrientation, constraint: MLImageConstraint, options: [ImageOption: Any]? = nil
    ) throws {
        self.init(.image, try fitted(["path": url.path], orientation, constraint, options))
    }
    public convenience init(cgImage: CGImage, constraint: MLImageConstraint, options: [ImageOption: Any]? = nil) throws {
        try self.init(cgImage: cgImage, orientation: .up, constraint: constraint, options: options)
    }
    public convenience init(
        cgImage: CGImage, orientation: CGImagePropertyOrientation, constraint: MLImageConstraint, options: [ImageOption: Any]? = nil
    ) throws {
        let picture: [String: Any] = ["rgb": cgImage.rgb.base64EncodedString(), "width": cgImage.width, "height": cgImage.height]
        self.init(.image, try fitted(picture, orientation, constraint, options))
    }

    public var isUndefined: Bool { false }
    public var int64Value: Int64 { content as? Int64 ?? 0 }
    public var doubleValue: Double { content as? Double ?? 0 }
    public var stringValue: String { content as? String ?? "" }
    public var multiArrayValue: MLMultiArray? { content as? MLMultiArray }
    public var dictionaryValue: [AnyHashable: NSNumber] { content as? [AnyHashable: NSNumber] ?? [:] }
    public var imageBufferValue: CVPixelBuffer? { content as? CVPixelBuffer }
    public var sequenceValue: MLSequence? { nil }
}

public protocol MLFeatureProvider: AnyObject {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

open class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public let dictionary: [String: MLFeatureValue]

    public init(dictionary: [String: Any]) throws {
        self.dictionary = try dictionary.mapValues {
            switch $0 {
            case let value as MLFeatureValue: value
            case let array as MLMultiArray: MLFeatureValue(multiArray: array)
            case let text as String: MLFeatureValue(string: text)
            case let number as Int: MLFeatureValue(int64: Int64(number))
            case let number as Double: MLFeatureValue(double: number)
            case let number as NSNumber: MLFeatureValue(double: number.doubleValue)
            default: throw MLModelError(.featureType)
            }
        }
    }

    open subscript(featureName: String) -> MLFeatureValue? { dictionary[featureName] }
    public var featureNames: Set<String> { Set(dictionary.keys) }
    public func featureValue(for featureName: String) -> MLFeatureValue? { dictionary[featureName] }
}

public protocol MLBatchProvider: AnyObject {
    var count: Int { get }
    func features(at index: Int) -> any MLFeatureProvider
}

open class MLArrayBatchProvider: NSObject, MLBatchProvider {
    public let array: [any MLFeatureProvider]
    public init(array: [any MLFeatureProvider]) { self.array = array }
    public var count: Int { array.count }
    public func features(at index: Int) -> any MLFeatureProvider { array[index] }
}

/// What Core ML makes of a picture: scaled and cropped to the constraint.
private func fitted(
    _ picture: [String: Any], _ orientation: CGImagePropertyOrientation?, _ constraint: MLImageConstraint,
    _ options: [MLFeatureValue.ImageOption: Any]?
) throws -> CVPixelBuffer {
    var question = picture
    question["do"] = "picture"
    question["orientation"] = orientation.map { Int($0.rawValue) }
    question["wide"] = constraint.pixelsWide
    question["high"] = constraint.pixelsHigh
    question["gray"] = constraint.pixelFormatType == kCVPixelFormatType_OneComponent8
    question["crop"] = options?[.cropAndScale] as? UInt ?? 2  // VNImageCropAndScaleOption.scaleFill
    guard let text = try ask(question)["pixels"] as? String, let pixels = Data(base64Encoded: text) else { throw MLModelError(.io) }
    return try buffer(of: pixels, wide: constraint.pixelsWide, high: constraint.pixelsHigh, format: constraint.pixelFormatType)
}
