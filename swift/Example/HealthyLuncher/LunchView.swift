import Personalization
import PersonalizationUI
import PhotosUI
import SwiftUI

/// A photo, what it is, and "that's wrong".
struct LunchView: View {
    @State private var state: PersonalModelState?
    @State private var problem: String?
    @State private var picked: PhotosPickerItem?
    @State private var photo: UIImage?

    var body: some View {
        VStack(spacing: 16) {
            if let photo {
                Image(uiImage: photo).resizable().scaledToFit()
            }
            PhotosPicker("Choose a photo", selection: $picked, matching: .images)
            if let state {
                PersonalModelView(state)
            } else if let problem {
                ContentUnavailableView("No model", systemImage: "fork.knife", description: Text(problem))
            } else {
                ProgressView("Fetching the model…")
            }
        }
        .padding()
        .task { await open() }
        .onChange(of: picked) { _, item in Task { await show(item) } }
    }

    private func open() async {
        do {
            state = PersonalModelState(try await Lunch.shared.model())
            try await Lunch.shared.update()
        } catch {
            if state == nil { problem = error.localizedDescription }
        }
    }

    private func show(_ item: PhotosPickerItem?) async {
        guard let data = try? await item?.loadTransferable(type: Data.self), let image = UIImage(data: data), let pixels = image.cgImage else { return }
        photo = image
        await state?.classify(.image(pixels, orientation: CGImagePropertyOrientation(image.imageOrientation)))
    }
}

extension CGImagePropertyOrientation {
    init(_ orientation: UIImage.Orientation) {
        switch orientation {
        case .up: self = .up
        case .upMirrored: self = .upMirrored
        case .down: self = .down
        case .downMirrored: self = .downMirrored
        case .left: self = .left
        case .leftMirrored: self = .leftMirrored
        case .right: self = .right
        case .rightMirrored: self = .rightMirrored
        @unknown default: self = .up
        }
    }
}
