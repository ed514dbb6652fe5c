// https://developer.apple.com/documentation/vision: VNImageCropAndScaleOption, VNHumanHandPoseObservation
import Foundation

public enum VNImageCropAndScaleOption: UInt, Sendable {
    case centerCrop = 0, scaleFit = 1, scaleFill = 2, scaleFitRotate90CCW = 0x101, scaleFillRotate90CCW = 0x102
}

public typealias VNConfidence = Float

open class VNPoint: NSObject {
    public let x: Double, y: Double
    init(x: Double, y: Double) {
        self.x = x
        self.y = y
    }
}

open class VNDetectedPoint: VNPoint {
    public let confidence: VNConfidence
    init(x: Double, y: Double, confidence: VNConfidence) {
        self.confidence = confidence
        super.init(x: x, y: y)
    }
}

open class VNRecognizedPoint: VNDetectedPoint {}

open class VNHumanHandPoseObservation: NSObject {
    public struct JointName: Hashable, RawRepresentable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public static let wrist = Self(rawValue: "wrist")
        public static let thumbCMC = Self(rawValue: "thumbCMC"), thumbMP = Self(rawValue: "thumbMP")
        public static let thumbIP = Self(rawValue: "thumbIP"), thumbTip = Self(rawValue: "thumbTip")
        public static let indexMCP = Self(rawValue: "indexMCP"), indexPIP = Self(rawValue: "indexPIP")
        public static let indexDIP = Self(rawValue: "indexDIP"), indexTip = Self(rawValue: "indexTip")
        public static let middleMCP = Self(rawValue: "middleMCP"), middlePIP = Self(rawValue: "middlePIP")
        public static let middleDIP = Self(rawValue: "middleDIP"), middleTip = Self(rawValue: "middleTip")
        public static let ringMCP = Self(rawValue: "ringMCP"), ringPIP = Self(rawValue: "ringPIP")
        public static let ringDIP = Self(rawValue: "ringDIP"), ringTip = Self(rawValue: "ringTip")
        public static let littleMCP = Self(rawValue: "littleMCP"), littlePIP = Self(rawValue: "littlePIP")
        public static let littleDIP = Self(rawValue: "littleDIP"), littleTip = Self(rawValue: "littleTip")
    }

    private let points: [JointName: VNRecognizedPoint]
    init(points: [JointName: VNRecognizedPoint]) { self.points = points }

    open func recognizedPoint(_ jointName: JointName) throws -> VNRecognizedPoint {
        guard let point = points[jointName] else { throw CocoaError(.keyValueValidation) }
        return point
    }
}
