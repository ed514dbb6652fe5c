// https://developer.apple.com/documentation/coregraphics/cgimage
import Foundation

/// A picture of 8-bit RGB.
public final class CGImage {
    public let width: Int, height: Int
    public let rgb: Data

    /// On Linux only: `rgb` holds `height` rows of `width` pixels of 3 bytes.
    public init(standInWidth width: Int, height: Int, rgb: Data) {
        precondition(rgb.count == width * height * 3)
        self.width = width
        self.height = height
        self.rgb = rgb
    }
}
