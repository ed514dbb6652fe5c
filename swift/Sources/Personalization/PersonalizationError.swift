import Foundation

/// What can go wrong. Whatever is thrown, the model and the lessons are as they were before.
public enum PersonalizationError: Error, Equatable, Sendable {
    /// The model takes neither one picture nor one array, or lacks what every classifier has.
    case unsupportedModel(String)
    /// The input is of another kind or size than the model takes.
    case unsuitableInput(found: String, expected: String)
    /// A file that cannot be read as a picture.
    case unreadableImage(String)
    /// The network does not have the label, and cannot learn a new one.
    case unknownLabel(String, known: [String])
    /// No lesson has this identifier.
    case unknownLesson(UUID)
    /// There is nothing to learn from.
    case noLessons
    /// The model does not allow this value for an update.
    case parameterNotAllowed(String, value: Double, allowed: String)
    /// This model learns already.
    case alreadyLearning
    /// Another instance, or another process, uses the folder.
    case folderInUse(String)
    /// The folder holds a file that this package did not write, or that is damaged.
    case damaged(String)
    /// The file system does not give a file that is there: with ``Storage/Protection/whileUnlocked``, while the device is locked.
    case cannotRead(String)
    /// The file system took no more: the disk is full, or the folder is not writable.
    case cannotWrite(String)
    /// Core ML refused.
    case coreML(String)
    /// The archive of lessons is damaged, too large, or of a newer format.
    case invalidArchive(String)
    /// The archive belongs to another model.
    case otherModel(found: String, expected: String)
    /// The catalogue answered with an HTTP status other than 200.
    case server(status: Int, url: URL)
    /// A web page came instead of a file: often the login page of a public network.
    case captivePortal(URL)
    /// No trusted key signed what came.
    case untrusted(String)
    /// The catalogue's signature has expired.
    case expired(String)
    /// The catalogue is older than one that was seen before.
    case rolledBack(found: Int, seen: Int)
    /// The catalogue does not have this model.
    case notInCatalogue(String)
    /// What came is not what the catalogue promised.
    case wrongContent(String)
    /// More bytes came than are allowed.
    case tooLarge(String, limit: Int)
}

extension PersonalizationError {
    /// Whether the same may succeed later without anybody's help.
    var isTemporary: Bool {
        switch self {
        case .alreadyLearning, .folderInUse, .cannotRead: true
        default: false
        }
    }
}

extension PersonalizationError: LocalizedError {
    public var errorDescription: String? {
        switch self {
        case .unsupportedModel(let why): "The model cannot be used: \(why)."
        case .unsuitableInput(let found, let expected): "The input is \(found); the model takes \(expected)."
        case .unreadableImage(let file): "\(file) cannot be read as a picture."
        case .unknownLabel(let label, let known): "The model does not know the label \(label); it knows \(known.joined(separator: ", "))."
        case .unknownLesson(let id): "There is no lesson \(id)."
        case .noLessons: "There are no lessons to learn from."
        case .parameterNotAllowed(let name, let value, let allowed): "The model does not allow \(name) = \(value); allowed: \(allowed)."
        case .alreadyLearning: "The model is learning."
        case .folderInUse(let folder): "The folder \(folder) is in use by another instance."
        case .damaged(let what): "The file \(what) is damaged."
        case .cannotRead(let what): "\(what) cannot be read."
        case .cannotWrite(let what): "\(what) cannot be written."
        case .coreML(let why): "Core ML failed: \(why)"
        case .invalidArchive(let why): "The archive is not valid: \(why)."
        case .otherModel(let found, let expected): "The archive belongs to the model \(found), not to \(expected)."
        case .server(let status, let url): "\(url.host ?? "The server") answered with status \(status)."
        case .captivePortal(let url): "A web page came from \(url.host ?? "the network") instead of the catalogue."
        case .untrusted(let what): "\(what) is not signed by a key that this app trusts."
        case .expired(let when): "The catalogue's signature expired at \(when)."
        case .rolledBack(let found, let seen): "The catalogue has serial \(found), and \(seen) was seen before."
        case .notInCatalogue(let name): "The catalogue has no \(name)."
        case .wrongContent(let what): "\(what) is not what the catalogue promises."
        case .tooLarge(let what, let limit): "\(what) has more than \(limit) bytes."
        }
    }

    public var recoverySuggestion: String? {
        switch self {
        case .unsupportedModel: "Build the model with coreml_updatable, or use a classifier with one picture or array as input."
        case .unsuitableInput: "Pass an input of the kind that the model takes."
        case .unreadableImage: "Choose a JPEG, HEIC or PNG file."
        case .unknownLabel: "Use one of its labels, or the k-nearest-neighbors model, which learns new ones."
        case .unknownLesson: "Read the lessons again."
        case .noLessons: "Remember at least one example first."
        case .parameterNotAllowed: "Choose an allowed value, or leave it to the model."
        case .alreadyLearning: "Wait until it has ended, or cancel it."
        case .folderInUse: "Keep one PersonalModel for a folder, and share it."
        case .damaged: "Restore a backup, or start again in an empty folder."
        case .cannotRead: "Unlock the device, and try again."
        case .cannotWrite: "Free some space on the device, and try again."
        case .coreML: "Try again; if it goes on, reset the personal model."
        case .invalidArchive: "Choose a backup that this app wrote."
        case .otherModel: "Restore it into the app's model of that name."
        case .server, .captivePortal: "Check the network connection, and try again later."
        case .untrusted, .rolledBack, .wrongContent: "Do not use it; try again from another network."
        case .expired: "Check the date of this device, or ask the publisher to sign again."
        case .notInCatalogue: "Check the model's name, and that the catalogue has been published."
        case .tooLarge: "Ask the publisher for a smaller file."
        }
    }
}
