import CoreML

/// What a model is asked about: a picture or an array.
///
/// An input is handed over: nobody may write to its pixel buffer or array afterwards.
public struct Input: @unchecked Sendable {
    enum Content {
        case file(URL)
        case image(CGImage, CGImagePropertyOrientation)
        case pixelBuffer(CVPixelBuffer, CGImagePropertyOrientation)
        case array([Float], shape: [Int])
    }

    let content: Content

    /// A picture in a file; its EXIF orientation counts.
    public static func file(_ url: URL) -> Input { Input(content: .file(url)) }

    /// A picture in memory.
    public static func image(_ image: CGImage, orientation: CGImagePropertyOrientation = .up) -> Input {
        Input(content: .image(image, orientation))
    }

    /// A picture from the camera, which is `.right` on an iPhone held upright.
    public static func pixelBuffer(_ buffer: CVPixelBuffer, orientation: CGImagePropertyOrientation = .up) -> Input {
        Input(content: .pixelBuffer(buffer, orientation))
    }

    /// Numbers in the order of C, for models that take an array.
    public static func array(_ values: [Float], shape: [Int]) -> Input { Input(content: .array(values, shape: shape)) }
}
