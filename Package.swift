// swift-tools-version: 6.0
import PackageDescription

var dependencies: [Package.Dependency] = []
var frameworks: [Target.Dependency] = []
var workers: [Target] = []
#if os(Linux)
    // Apple's frameworks are not on Linux: stand-ins that ask the simulator take their place there, and only there.
    dependencies = [.package(path: "swift/StandIns")]
    frameworks = [.product(name: "StandIns", package: "StandIns")]
    // A process that the tests kill.
    workers = [.executableTarget(name: "personalization-worker", dependencies: ["Personalization"], path: "swift/Tests/Worker")]
#endif

let package = Package(
    name: "Personalization",
    // iOS 16: MLModel.compileModel(at:) is asynchronous from there on.
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "Personalization", targets: ["Personalization"]),
        .library(name: "PersonalizationUI", targets: ["PersonalizationUI"]),
        .library(name: "PersonalizationTesting", targets: ["PersonalizationTesting"]),
        .executable(name: "coreml-probes", targets: ["coreml-probes"]),
    ],
    dependencies: dependencies,
    targets: workers + [
        .target(name: "Personalization", dependencies: frameworks, path: "swift/Sources/Personalization"),
        .target(name: "PersonalizationUI", dependencies: ["Personalization"], path: "swift/Sources/PersonalizationUI"),
        .target(name: "PersonalizationTesting", dependencies: ["Personalization"], path: "swift/Sources/PersonalizationTesting"),
        .executableTarget(
            name: "coreml-probes", dependencies: ["Personalization", "PersonalizationTesting"], path: "swift/Sources/CoreMLProbes"),
        .testTarget(
            name: "PersonalizationTests",
            dependencies: ["Personalization", "PersonalizationUI", "PersonalizationTesting"]
                + workers.map { .target(name: $0.name) },
            path: "swift/Tests/PersonalizationTests"),
    ],
    swiftLanguageModes: [.v6, .v5]
)
