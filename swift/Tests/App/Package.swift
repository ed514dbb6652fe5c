// swift-tools-version: 6.0
// An app as people write it; test.py puts the addresses in.
import PackageDescription

let package = Package(
    name: "app",
    platforms: [.iOS(.v16), .macOS(.v13)],
    dependencies: [
        .package(url: "https://example.org/coreml-updatable.git", branch: "main"),
        .package(path: "../HealthyLuncher"),
    ],
    targets: [
        .executableTarget(
            name: "app", dependencies: ["HealthyLuncher", .product(name: "Personalization", package: "coreml-updatable")])
    ]
)
