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
    let model = try await Fixtures.model()
    let state = PersonalModelState(model)
    await state.classify(.file(Fixtures.pancakes[0]))
    await state.correct(to: "healthy")
    await state.classify(.file(Fixtures.pancakes[1]))
    #expect(state.isLearning)
    await state.correct(to: "healthy")
    await state.finishLearning()
    #expect(state.lessons.count == 2 && !state.needsLearning && state.message == nil && !state.isLearning)
    // A cancel ends both: the update that runs, and the one that waits.
    try await model.remember(.file(Fixtures.pancakes[2]), as: "healthy")
    state.learn()
    state.learn()
    state.cancel()
    await state.finishLearning()
    #expect(try await model.needsLearning && !state.isLearning)
    // What is asked for after the cancel, while the update has not ended yet, is done.
    state.learn()
    state.cancel()
    state.learn()
    await state.finishLearning()
    #expect(!state.needsLearning && state.message == nil)
}
