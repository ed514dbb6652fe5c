#if canImport(SwiftUI)
    import Personalization
    import SwiftUI

    /// The answer, a correction, progress, undo and reset. All state is in ``PersonalModelState``.
    @available(iOS 17, macOS 14, *)
    public struct PersonalModelView: View {
        private let state: PersonalModelState

        public init(_ state: PersonalModelState) { self.state = state }

        public var body: some View {
            VStack(alignment: .leading, spacing: 12) {
                AnswerView(state)
                if let progress = state.progress {
                    ProgressView("Learning…", value: progress)
                    Button("Cancel", role: .cancel) { state.cancel() }
                } else {
                    CorrectionMenu(state)
                    HStack {
                        Button("Undo", systemImage: "arrow.uturn.backward") { Task { await state.undo() } }
                            .disabled(state.lessons.isEmpty)
                        Button("Reset", systemImage: "trash", role: .destructive) { Task { await state.reset() } }
                            .disabled(state.lessons.isEmpty)
                    }
                }
                if let message = state.message { Text(message).font(.footnote).foregroundStyle(.red) }
            }
            .task { await state.refresh() }
        }
    }

    /// The most likely label and its probability.
    @available(iOS 17, macOS 14, *)
    public struct AnswerView: View {
        private let state: PersonalModelState

        public init(_ state: PersonalModelState) { self.state = state }

        public var body: some View {
            if let answer = state.answer {
                LabeledContent(answer.label) { Text(answer.probabilities[answer.label] ?? 0, format: .percent.precision(.fractionLength(0))) }
                    .font(.title2)
                    .accessibilityElement(children: .combine)
            }
        }
    }

    /// "That's wrong": the labels to choose from.
    @available(iOS 17, macOS 14, *)
    public struct CorrectionMenu: View {
        private let state: PersonalModelState

        public init(_ state: PersonalModelState) { self.state = state }

        public var body: some View {
            Menu("That's wrong") {
                ForEach(state.labels, id: \.self) { label in Button(label) { Task { await state.correct(to: label) } } }
            }
            .disabled(state.answer == nil)
        }
    }
#endif
