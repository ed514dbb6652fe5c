// https://developer.apple.com/documentation/videotoolbox/vtcreatecgimagefromcvpixelbuffer(_:options:imageout:)
import CoreGraphics
import CoreVideo
import Foundation

public typealias OSStatus = Int32

public func VTCreateCGImageFromCVPixelBuffer(
    _ pixelBuffer: CVPixelBuffer, options: CFDictionary?, imageOut: UnsafeMutablePointer<CGImage?>
) -> OSStatus {
    let width = CVPixelBufferGetWidth(pixelBuffer), height = CVPixelBufferGetHeight(pixelBuffer)
    let color = CVPixelBufferGetPixelFormatType(pixelBuffer) == kCVPixelFormatType_32BGRA
    var rgb = Data(capacity: width * height * 3)
    for row in 0..<height {
        let line = CVPixelBufferGetBaseAddress(pixelBuffer)! + row * CVPixelBufferGetBytesPerRow(pixelBuffer)
        let bytes = line.assumingMemoryBound(to: UInt8.self)
        for column in 0..<width {
            if color {
                rgb.append(contentsOf: [bytes[column * 4 + 2], bytes[column * 4 + 1], bytes[column * 4]])
            } else {
                rgb.append(contentsOf: [bytes[column], bytes[column], bytes[column]])
            }
        }
    }
    imageOut.pointee = CGImage(standInWidth: width, height: height, rgb: rgb)
    return 0
}
