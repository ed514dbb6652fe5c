import Personalization
import SwiftUI

@main
struct HealthyLuncherApp: App {
    @Environment(\.scenePhase) private var phase
    private let learning = BackgroundLearning(identifier: Lunch.taskIdentifier) { try await Lunch.shared.model() }

    init() { learning.register() }  // iOS takes it before the app has launched, and not later

    var body: some Scene {
        WindowGroup { LunchView() }
            .onChange(of: phase) { _, phase in
                guard phase == .background else { return }
                Task { if try await Lunch.shared.model().needsLearning { try learning.schedule() } }
            }
    }
}
