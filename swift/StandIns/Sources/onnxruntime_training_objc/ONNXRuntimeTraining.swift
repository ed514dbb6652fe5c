// What docs/siblings.md uses of the pod onnxruntime-training-objc 1.19.2, as Swift sees its Objective-C headers
// (objectivec/include in microsoft/onnxruntime). It compiles; nothing runs.
import Foundation

public enum ORTLoggingLevel { case verbose, info, warning, error, fatal }

public enum ORTTensorElementDataType { case undefined, float, int8, uInt8, int32, uInt32, int64, uInt64, string }

public class ORTEnv: NSObject {
    public init(loggingLevel: ORTLoggingLevel) throws { fatalError() }
}

public class ORTSessionOptions: NSObject {
    public init(_: Void = ()) throws { fatalError() }
}

public class ORTCheckpoint: NSObject {
    public init(path: String) throws { fatalError() }
}

public class ORTValue: NSObject {
    public init(tensorData: NSMutableData, elementType: ORTTensorElementDataType, shape: [NSNumber]) throws { fatalError() }
}

public class ORTTrainingSession: NSObject {
    public init(
        env: ORTEnv, sessionOptions: ORTSessionOptions, checkpoint: ORTCheckpoint, trainModelPath: String,
        evalModelPath: String?, optimizerModelPath: String?
    ) throws { fatalError() }
    public func setLearningRate(_ lr: Float) throws { fatalError() }
    public func trainStep(withInputValues inputs: [ORTValue]) throws -> [ORTValue] { fatalError() }
    public func optimizerStep() throws { fatalError() }
    public func lazyResetGrad() throws { fatalError() }
    public func exportModelForInference(withOutputPath path: String, graphOutputNames: [String]) throws { fatalError() }
}
