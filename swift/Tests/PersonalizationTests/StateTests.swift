import Foundation
import PersonalizationUI
import Testing

@testable import Personalization

@MainActor @Test func aScreenTeaches() async throws {
    let state = PersonalModelState(try await Fixtures.model())
    await state.refresh()
    #expect(Set(state.labels) == ["healthy", "fast-food"])
    await state.classify(.file(Fixtures.pancakes[0]))
    #expect(state.answer?.label == "fast-food")
    await state.correct(to: "healthy")
    #expect(state.isLearning)
    await state.finishLearning()
    #expect(!state.isLearning && state.message == nil && !state.needsLearning)
    #expect(state.answer?.label == "healthy")
    await state.undo()
    #expect(state.lessons.isEmpty && state.answer?.label == "fast-food")
    await state.correct(to: "pizza")
    #expect(state.message != nil && state.lessons.isEmpty)
    await state.correct(to: "healthy")
    state.cancel()
    await state.finishLearning()
    #expect(state.message == nil && state.lessons.count == 1)
    await state.reset()
    #expect(state.lessons.isEmpty)
}

@MainActor @Test func whatIsTaughtWhileItLearnsIsLearnedToo() async throws {
    let state = PersonalModelState(try await Fixtures.model())
    await state.classify(.file(Fixtures.pancakes[0]))
    await state.correct(to: "healthy")
    await state.classify(.file(Fixtures.pancakes[1]))
    #expect(state.isLearning)
    await state.correct(to: "healthy")
    await state.finishLearning()
    #expect(state.lessons.count == 2 && !state.needsLearning && state.message == nil && !state.isLearning)
    // A cancel ends both: the update that runs, and the one that waits.
    await state.correct(to: "fast-food")
    await state.correct(to: "healthy")
    state.cancel()
    await state.finishLearning()
    #expect(state.lessons.count == 4 && state.needsLearning && !state.isLearning)
    // What is taught after the cancel, while the update has not ended yet, is learned.
    state.learn()
    state.cancel()
    state.learn()
    await state.finishLearning()
    #expect(!state.needsLearning && state.message == nil)
}
