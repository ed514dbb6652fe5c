import BackgroundTasks
import Foundation
import Testing

@testable import Personalization

@Test func theSystemFindsTheMomentRight() async throws {
    let model = try await Fixtures.model()
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    let identifier = "test.\(UUID().uuidString)"
    let learning = BackgroundLearning(identifier: identifier) { model }
    #expect(learning.register())
    let forbidden = BackgroundLearning(identifier: "not.permitted") { model }
    #expect(!forbidden.register())
    #expect(BGTaskScheduler.shared.standInRun(identifier) == nil)
    try learning.schedule()
    let task = try #require(BGTaskScheduler.shared.standInRun(identifier))
    while task.standInSuccess == nil { try await Task.sleep(nanoseconds: 5_000_000) }
    #expect(task.standInSuccess == true)
    let needsLearning = try await model.needsLearning
    #expect(!needsLearning)
}

/// What would fail every night is not asked for again.
@Test func aFailureIsNotRepeated() async throws {
    let identifier = "test.\(UUID().uuidString)"
    let learning = BackgroundLearning(identifier: identifier) { throw PersonalizationError.damaged("lessons.json") }
    learning.register()
    try learning.schedule()
    let task = try #require(BGTaskScheduler.shared.standInRun(identifier))
    while task.standInSuccess == nil { try await Task.sleep(nanoseconds: 1_000_000) }
    #expect(task.standInSuccess == false)
    #expect(!BGTaskScheduler.shared.standInHasRequest(identifier))
}

@Test func cutShortItAsksAgain() async throws {
    let model = try await Fixtures.model()
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    let identifier = "test.\(UUID().uuidString)"
    let learning = BackgroundLearning(identifier: identifier, plan: Plan(epochs: 100)) { model }
    learning.register()
    try learning.schedule()
    let task = try #require(BGTaskScheduler.shared.standInRun(identifier))
    while task.expirationHandler == nil { try await Task.sleep(nanoseconds: 1_000_000) }
    task.expirationHandler?()
    while task.standInSuccess == nil { try await Task.sleep(nanoseconds: 5_000_000) }
    #expect(task.standInSuccess == false)
    #expect(try await model.needsLearning)
    #expect(BGTaskScheduler.shared.standInHasRequest(identifier))
}
