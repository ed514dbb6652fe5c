import CoreML
import Foundation
import Testing

@testable import Personalization

let forms: [ModelID.Form] = [.network, .neighbors, .split]

/// The story of healthy_luncher, told of five owners with three photos each. Which photos they teach was fixed before any was tried:
/// the first fifteen drawings, in order, each once; the last twenty are asked. Earlier, one owner told it, with photos that had been
/// exchanged until the story came true. So it is now said of the mean of all five: at most one pancake in five is healthy before,
/// and two in five are after three photos. The bases are small, for the sake of time; that of the sample learns more.
@Test(arguments: forms) func pancakesBecomeHealthy(form: ModelID.Form) async throws {
    let pancakes = Fixtures.photos("pancakes"), burgers = Fixtures.photos("burger")
    let first = try await Fixtures.base(form), second = try await Fixtures.base(form, build: "second")
    var learned: [Double] = [], rebased: [Double] = [], kept: [Double] = []
    let plain = try PersonalModel(first, folder: Fixtures.temporary()), before = try await plain.answers(pancakes)
    #expect(share(before, "healthy") < 0.2, "\(share(before, "healthy")) of the pancakes were healthy before")
    for photos in Fixtures.owners {
        let model = try PersonalModel(first, folder: Fixtures.temporary())
        for photo in photos { try await model.remember(.file(photo), as: Meal.healthy) }
        #expect(try await model.needsLearning)
        try await learn(model)
        let needsLearning = try await model.needsLearning
        #expect(!needsLearning)
        learned.append(share(try await model.answers(pancakes), "healthy"))
        kept.append(share(try await model.answers(burgers), "fast-food"))

        var epochs = 0
        for try await _ in model.rebase(on: second) { epochs += 1 }
        #expect(epochs >= (form == .neighbors ? 0 : 1))  // a k-NN has no epochs
        #expect(await model.base == second)
        rebased.append(share(try await model.answers(pancakes), "healthy"))

        try await model.reset()
        #expect(try await model.lessons.isEmpty)
        let plain = try PersonalModel(second, folder: Fixtures.temporary())
        for photo in pancakes.prefix(3) { #expect(try await model.predict(.file(photo)).isLike(plain.predict(.file(photo)))) }
    }
    #expect(mean(learned) > 0.4, "\(learned) of the pancakes are healthy after three photos")
    #expect(mean(kept) >= 0.9, "\(kept) of the burgers are still fast food")
    #expect(mean(rebased) > 0.4, "\(rebased) of the pancakes are healthy on the second base")
}

extension PersonalModel {
    fileprivate func answers(_ photos: [URL]) throws -> [Answer] { try photos.map { try predict(.file($0)) } }
}

private func share(_ answers: [Answer], _ label: String) -> Double {
    Double(answers.filter { $0.label == label }.count) / Double(answers.count)
}

private func mean(_ shares: [Double]) -> Double { shares.reduce(0, +) / Double(shares.count) }

@Test func aSplitLearnsAsTheNetworkDoes() async throws {
    var answers: [Answer] = []
    for form in [ModelID.Form.network, .split] {
        let model = try await Fixtures.model(form)
        for pancake in Fixtures.pancakes.prefix(2) { try await model.remember(.file(pancake), as: Meal.healthy) }
        try await learn(model, Plan(epochs: 3, shuffle: false))
        answers.append(try await model.predict(.file(Fixtures.pancakes[4])))
    }
    #expect(abs(answers[0].probabilities["healthy"]! - answers[1].probabilities["healthy"]!) < 1e-4)
}

@Test func learningStartsFromTheBaseEachTime() async throws {
    let model = try await Fixtures.model()
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    try await learn(model)
    let once = try await model.predict(.file(Fixtures.pancakes[1]))
    try await learn(model)
    let twice = try await model.predict(.file(Fixtures.pancakes[1]))
    #expect(abs(once.probabilities["healthy"]! - twice.probabilities["healthy"]!) < 1e-6)
}

@Test func aForgottenLessonIsUnlearned() async throws {
    let model = try await Fixtures.model()
    let photo = Input.file(Fixtures.pancakes[1])
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    try await learn(model)
    let with = try await model.predict(photo)
    let second = try await model.remember(.file(Fixtures.pancakes[2]), as: Meal.healthy)
    try await learn(model)
    try await model.forget(second.id)
    try await learn(model)
    #expect(abs(try await model.predict(photo).probabilities["healthy"]! - with.probabilities["healthy"]!) < 1e-6)
    for lesson in try await model.lessons { try await model.forget(lesson.id) }
    #expect(try await model.predict(photo).label == "fast-food")
}

@Test func progressAndSchedule() async throws {
    let model = try await Fixtures.model()
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    let plan = Plan(epochs: 4, learningRate: 0.01) { 0.01 / Double($0.epoch + 1) }
    let reports = try await learn(model, plan)
    #expect(reports.map(\.epoch) == [1, 2, 3, 4])
    #expect(reports.allSatisfy { $0.epochs == 4 })
    #expect(reports.last!.loss! < reports.first!.loss!)
    #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.learningRate! > $1.learningRate! })
}

@Test func leavingTheLoopCancels() async throws {
    let model = try await Fixtures.model()
    let photo = Input.file(Fixtures.pancakes[0])
    try await model.remember(photo, as: Meal.healthy)
    let before = try await model.predict(photo)
    for try await _ in model.learn(Plan(epochs: 100)) { break }
    // The update notices within an epoch; then another one may run.
    while true {
        do {
            try await learn(model, Plan(epochs: 1, learningRate: 0.0001))
            break
        } catch PersonalizationError.alreadyLearning, PersonalizationError.folderInUse {
            try await Task.sleep(nanoseconds: 1_000_000)
        }
    }
    let after = try await model.predict(photo)
    #expect(abs(after.probabilities["healthy"]! - before.probabilities["healthy"]!) < 0.01)
}

@Test func aCancelledTaskLeavesTheModel() async throws {
    let model = try await Fixtures.model()
    let photo = Input.file(Fixtures.pancakes[0])
    try await model.remember(photo, as: Meal.healthy)
    let before = try await model.predict(photo)
    let task = Task { try await learn(model, Plan(epochs: 100)) }
    try await Task.sleep(nanoseconds: 20_000_000)
    task.cancel()
    _ = try? await task.value
    #expect(try await model.predict(photo).isLike(before))
    #expect(try await model.needsLearning)
}

@Test func oneUpdateAtATime() async throws {
    let model = try await Fixtures.model()
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    let results = await withTaskGroup(of: Bool.self) { group in
        for _ in 0..<4 { group.addTask { (try? await learn(model, Plan(epochs: 30))) != nil } }
        return await group.reduce(into: [Bool]()) { $0.append($1) }
    }
    #expect(results.filter { $0 }.count == 1)
}

@Test func twoInstancesOfOneFolder() async throws {
    let base = try await Fixtures.base(), folder = try Fixtures.temporary()
    let first = try PersonalModel(base, folder: folder), second = try PersonalModel(base, folder: folder)
    let photo = Input.file(Fixtures.pancakes[0])
    let before = try await second.predict(photo)
    try await first.remember(photo, as: Meal.healthy)
    #expect(try await second.lessons.count == 1)
    try await learn(first)
    #expect(try await !second.predict(photo).isLike(before))
    #expect(try await second.predict(photo).isLike(first.predict(photo)))
}

/// The lock of a folder is among instances, and among processes.
@Test func twoInstancesDoNotLearnAtOnce() async throws {
    let base = try await Fixtures.base(), folder = try Fixtures.temporary()
    let first = try PersonalModel(base, folder: folder), second = try PersonalModel(base, folder: folder)
    try await first.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    let gate = DispatchSemaphore(value: 0)
    let waiting = Plan(epochs: 2) { _ in
        gate.wait()  // the update stays in its epoch
        return nil
    }
    for try await progress in first.learn(waiting) {
        if progress.epoch == 1 {
            await #expect(throws: PersonalizationError.folderInUse(folder.lastPathComponent)) { try await learn(second) }
            await #expect(throws: PersonalizationError.folderInUse(folder.lastPathComponent)) { try await second.reset() }
        }
        gate.signal()
    }
    #expect(try await second.lessons.count == 1)
    try await second.reset()
}

/// The extractor of a split stays in memory while heads come and go, and a network that answers is not loaded again to learn.
@Test func nothingIsLoadedTwice() async throws {
    let base = try await Fixtures.base(.split), model = try PersonalModel(base, folder: try Fixtures.temporary())
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    for _ in 0..<2 {
        try await learn(model, Plan(epochs: 1))
        _ = try await model.predict(.file(Fixtures.pancakes[1]))
    }
    try await model.reset()
    _ = try await model.predict(.file(Fixtures.pancakes[1]))
    #expect(MLModel.standInLoads(of: base.extractor!) == 1)
}

/// Whatever was done, the folder holds what it needs and nothing else.
@Test func noFileIsLeftOver() async throws {
    let folder = try Fixtures.temporary().appendingPathComponent("model"), archive = folder.appendingPathExtension("tar")
    let model = try PersonalModel(await Fixtures.base(), folder: folder)
    for pancake in Fixtures.pancakes.prefix(3) { try await model.remember(.file(pancake), as: Meal.healthy) }
    for _ in 0..<3 { try await learn(model, Plan(epochs: 1)) }
    try await model.backUp(to: archive)
    try await model.forget(model.lessons[0].id)
    try await model.restore(from: archive)
    try await model.forget(model.lessons[0].id)
    for try await _ in model.learn(Plan(epochs: 100)) { break }
    while (try? await learn(model, Plan(epochs: 1))) == nil { try await Task.sleep(nanoseconds: 1_000_000) }
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    let models = files.filter { $0.hasSuffix(".mlmodelc") }
    #expect((1...2).contains(models.count))
    #expect(Set(files).subtracting(models) == ["learning.lock", "lessons", "lessons.json", "lessons.lock", "personal.json"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("lessons").path).count == 2)
}

@Test func aNeighborLearnsANewLabel() async throws {
    let neighbors = try await Fixtures.model(.neighbors)
    for pancake in Fixtures.pancakes.prefix(3) { try await neighbors.remember(.file(pancake), as: "pancakes") }
    try await learn(neighbors)
    #expect(try await neighbors.predict(.file(Fixtures.pancakes[0])).label == "pancakes")

    let network = try await Fixtures.model()
    let known = try await network.labels
    await #expect(throws: PersonalizationError.unknownLabel("pancakes", known: known)) {
        try await network.remember(.file(Fixtures.pancakes[0]), as: "pancakes")
    }
}

@Test func whatAModelDoesNotTake() async throws {
    let model = try await Fixtures.model()
    let text = try Fixtures.temporary().appendingPathComponent("text.png")
    try Data("no picture".utf8).write(to: text)
    await #expect(throws: PersonalizationError.unreadableImage("text.png")) { try await model.predict(.file(text)) }
    await #expect(throws: PersonalizationError.self) { try await model.predict(.array([1, 2], shape: [2])) }
    await #expect(throws: PersonalizationError.noLessons) { try await learn(model) }
    let unknown = UUID()
    await #expect(throws: PersonalizationError.unknownLesson(unknown)) { try await model.forget(unknown) }
    try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    await #expect(throws: PersonalizationError.parameterNotAllowed("miniBatchSize", value: 3, allowed: "1.0, 2.0, 4.0, 8.0, 16.0, 32.0")) {
        try await learn(model, Plan(miniBatchSize: 3))
    }
    await #expect(throws: PersonalizationError.self) { try await learn(model, Plan(learningRate: -1)) }
    await #expect(throws: PersonalizationError.self) { try await learn(model, Plan(numberOfNeighbors: 3)) }
    #expect(try await model.lessons.count == 1)
}

/// A camera's buffer on its side is cropped and turned as the file is.
@Test func orientationAndCrop() async throws {
    let model = try await Fixtures.model()
    // 60 x 40, left half red, right half blue, seen upright once it is turned right.
    let width = 60, height = 40
    var rgb = Data()
    for _ in 0..<height { for column in 0..<width { rgb.append(contentsOf: column < width / 2 ? [255, 0, 0] : [0, 0, 255]) } }
    let picture = CGImage(standInWidth: width, height: height, rgb: rgb)
    let upright = try await model.remember(.image(picture), as: Meal.healthy)
    let turned = try await model.remember(.image(picture, orientation: .right), as: Meal.healthy)
    let (flat, tall) = try await (model.example(of: upright.id), model.example(of: turned.id))
    #expect(flat.shape == [128, 128, 3])
    func pixel(_ example: Example, _ row: Int, _ column: Int) -> [UInt8] {
        Array(example.bytes[(row * 128 + column) * 3..<(row * 128 + column) * 3 + 3])
    }
    #expect(pixel(flat, 64, 5) == [255, 0, 0] && pixel(flat, 64, 122) == [0, 0, 255])
    // EXIF 6: the first column is the top.
    #expect(pixel(tall, 5, 64) == [255, 0, 0] && pixel(tall, 122, 64) == [0, 0, 255])

    var buffer: CVPixelBuffer?
    #expect(CVPixelBufferCreate(nil, width, height, kCVPixelFormatType_32BGRA, nil, &buffer) == kCVReturnSuccess)
    for row in 0..<height {
        let line = (CVPixelBufferGetBaseAddress(buffer!)! + row * CVPixelBufferGetBytesPerRow(buffer!)).assumingMemoryBound(to: UInt8.self)
        for column in 0..<width {
            for (channel, value) in (column < width / 2 ? [0, 0, 255, 255] : [255, 0, 0, 255] as [UInt8]).enumerated() {
                line[column * 4 + channel] = value
            }
        }
    }
    let camera = try await model.remember(.pixelBuffer(buffer!, orientation: .right), as: Meal.healthy)
    #expect(try await model.example(of: camera.id) == tall)
}

@Test func aPictureOfOnePixelIsAPicture() async throws {
    let model = try await Fixtures.model(), pixel = CGImage(standInWidth: 1, height: 1, rgb: Data([10, 200, 30]))
    let lesson = try await model.remember(.image(pixel), as: Meal.healthy)
    let example = try await model.example(of: lesson.id)
    #expect(example.shape == [128, 128, 3] && Set(example.bytes) == [10, 200, 30])
    let answer = try await model.predict(.image(pixel))
    #expect(abs(answer.probabilities.values.reduce(0, +) - 1) < 1e-3)
}

@Test func lessonsAreBounded() async throws {
    let model = try await Fixtures.model(limits: LessonLimits(count: 3))
    let first = try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    let burger = try await model.remember(.file(Fixtures.photos("burger")[0]), as: Meal.fastFood)
    let second = try await model.remember(.file(Fixtures.pancakes[1]), as: Meal.healthy)
    let again = try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    // The label with the most lessons gives up the older of its two most similar ones.
    #expect(try await model.lessons.map(\.id) == [burger.id, second.id, again.id])
    await #expect(throws: PersonalizationError.unknownLesson(first.id)) { try await model.example(of: first.id) }

    let small = try await Fixtures.model(limits: LessonLimits(bytes: 128 * 128 * 3 * 2))
    for pancake in Fixtures.pancakes { try await small.remember(.file(pancake), as: Meal.healthy) }
    #expect(try await small.lessons.count == 2)
}

@Test func aDamagedFolderIsNamed() async throws {
    let base = try await Fixtures.base(), folder = try Fixtures.temporary()
    let model = try PersonalModel(base, folder: folder)
    let lesson = try await model.remember(.file(Fixtures.pancakes[0]), as: Meal.healthy)
    try Data("x".utf8).write(to: folder.appendingPathComponent(lesson.file))
    await #expect(throws: PersonalizationError.damaged(lesson.file)) { try await learn(model) }
    try Data("{}".utf8).write(to: folder.appendingPathComponent("lessons.json"))
    #expect(throws: PersonalizationError.damaged("lessons.json")) { try PersonalModel(base, folder: folder) }
}

/// As on a locked device: answers do not silently come from the base, and opening the model removes nothing.
@Test func whatCannotBeReadNowIsThereLater() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPose"), folder = try Fixtures.temporary()
    let model = try PersonalModel(base, folder: folder), pose = Input.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21])
    let lesson = try await model.remember(pose, as: "pause")
    try await learn(model, Plan(epochs: 1))
    let answer = try await model.predict(pose)
    for name in ["personal.json", "lessons.json", lesson.file] {
        let file = folder.appendingPathComponent(name), error = PersonalizationError.cannotRead(file.lastPathComponent)
        try hide(file)
        switch name {
        case "lessons.json": #expect(throws: error) { try PersonalModel(base, folder: folder) }
        case "personal.json":
            let opened = try PersonalModel(base, folder: folder)
            await #expect(throws: error) { try await opened.predict(pose) }
            await #expect(throws: error) { try await opened.needsLearning }
        default: await #expect(throws: PersonalizationError.cannotRead(file.lastPathComponent)) { try await learn(model) }
        }
        try unhide(file)
        #expect(try await PersonalModel(base, folder: folder).predict(pose).isLike(answer))
    }
    // Where it cannot write, it says so.
    try FileManager.default.removeItem(at: folder.appendingPathComponent("lessons.lock"))
    try FileManager.default.createDirectory(at: folder.appendingPathComponent("lessons.lock"), withIntermediateDirectories: false)
    await #expect(throws: PersonalizationError.cannotWrite("lessons.lock")) { try await model.remember(pose, as: "play") }
    #expect(try await model.lessons == [lesson])
}

/// A cancel while the result is being saved comes too late: the update has ended well, and says so.
@Test func aLateCancelIsNoCancel() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPose")
    let input = try ModelInput(MLModel(contentsOf: base.model).modelDescription)
    let example = try input.example(.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21]))
    for _ in 0..<5 {
        let late = Late()
        let run = UpdateRun { _ in late.cancel() }
        late.run = run
        let loaded = try Loaded(base, personal: nil)
        let rows = LessonBatch(count: 1) { _ in try loaded.trainingRow(example, label: "pause") }
        try await withCheckedThrowingContinuation {
            run.start(
                base: base.model, rows: rows, parameters: [.epochs: 1], epochs: 1, schedule: nil, progress: { _ in }, events: nil,
                continuation: $0)
        }
    }
}

/// Cancels from another thread, while the result is being saved.
private final class Late: @unchecked Sendable {
    var run: UpdateRun?
    func cancel() {
        Thread { [self] in run?.cancel() }.start()
        Thread.sleep(forTimeInterval: 0.02)
    }
}

/// What Core ML has been seen to answer before an update: no descriptions of parameters. It then judges the values alone.
@Test func parametersWithoutDescriptionsAreHandedOn() throws {
    let parameters = try Plan(epochs: 3, learningRate: 0.5, shuffle: false).parameters(for: MLModelDescription())
    #expect(parameters[.epochs] as? Int == 3 && parameters[.learningRate] as? Double == 0.5 && parameters[.shuffle] as? Bool == false)
}

@Test func picturesOfOtherFormatsAreRefused() throws {
    let half: OSType = 0x4C30_3068  // kCVPixelFormatType_OneComponent16Half
    #expect(throws: PersonalizationError.self) { try ModelInput(MLModelDescription(standInImage: half)) }
    #expect(try ModelInput(MLModelDescription(standInImage: kCVPixelFormatType_OneComponent8)).kind == .gray8)
}

/// A network whose labels are numbers: it answers and learns them as text, and Core ML gets numbers.
@Test func numbersAreLabels() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPoseNumbers")
    let model = try PersonalModel(base, folder: Fixtures.temporary()), pose = Input.array([Float](repeating: 0.5, count: 63), shape: [1, 3, 21])
    #expect(try await model.labels == ["0", "1", "2", "3"])
    let before = try await model.predict(pose), other = before.label == "2" ? "1" : "2"
    #expect(before.probabilities[before.label] == before.probabilities.values.max())
    try await model.remember(pose, as: other)
    await #expect(throws: PersonalizationError.self) { try await model.remember(pose, as: "two") }
    try await learn(model, Plan(epochs: 20, learningRate: 0.5))
    #expect(try await model.predict(pose).label == other)
}

@Test func anArrayModelLearns() async throws {
    let base = try await Fixtures.base(build: "pose", name: "HandPose")
    let model = try PersonalModel(base, folder: try Fixtures.temporary())
    let vectors = try GoldenRows(Fixtures.folder.appendingPathComponent("pose/HandPose.vectors.json"))
    for row in vectors.owner { try await model.remember(.array(row.values, shape: row.shape), as: row.label) }
    try await learn(model)
    #expect(try await model.predict(.array(vectors.owner[0].values, shape: vectors.owner[0].shape)).label == vectors.owner[0].label)
    await #expect(throws: PersonalizationError.self) { try await model.predict(.array([.nan] + [Float](repeating: 0, count: 62), shape: [1, 3, 21])) }
    await #expect(throws: PersonalizationError.self) { try await model.predict(.file(Fixtures.pancakes[0])) }
}
