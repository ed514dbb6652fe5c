// swift-tools-version: 6.0
// Stand-ins for Apple's frameworks, so that the package beside them compiles and runs on Linux. They declare what the
// package and its tests use, with Apple's signatures, and are never more permissive: no type is Sendable that Apple's is
// not. CoreML asks a simulator (simulator.py) over a loopback socket; CryptoKit is OpenSSL.
import PackageDescription

let package = Package(
    name: "StandIns",
    products: [
        .library(
            name: "StandIns",
            targets: [
                "BackgroundTasks", "CoreGraphics", "CoreML", "CoreVideo", "CryptoKit", "ImageIO", "VideoToolbox", "Vision",
                "onnxruntime_training_objc", "os",
            ])
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .target(name: "BackgroundTasks"),
        .target(name: "CoreGraphics"),
        .target(name: "CoreML", dependencies: ["CoreGraphics", "CoreVideo", "ImageIO"]),
        .target(name: "CoreVideo"),
        .target(name: "CryptoKit", dependencies: ["COpenSSL"]),
        .target(name: "ImageIO"),
        .target(name: "VideoToolbox", dependencies: ["CoreGraphics", "CoreVideo"]),
        .target(name: "Vision"),
        .target(name: "onnxruntime_training_objc"),
        .target(name: "os"),
    ],
    swiftLanguageModes: [.v5]
)
