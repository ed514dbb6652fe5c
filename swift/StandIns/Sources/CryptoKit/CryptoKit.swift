// https://developer.apple.com/documentation/cryptokit, on OpenSSL.
import COpenSSL
import Foundation

public struct SHA256Digest: Sequence, Hashable, Sendable {
    let bytes: [UInt8]
    public func makeIterator() -> Array<UInt8>.Iterator { bytes.makeIterator() }
}

/// As Apple's: a value, which a copy may carry on from the same point.
public struct SHA256: @unchecked Sendable {
    private final class State {
        let pointer = EVP_MD_CTX_new()!
        init() { precondition(EVP_DigestInit_ex(pointer, EVP_sha256(), nil) == 1) }
        init(copying other: State) { precondition(EVP_MD_CTX_copy_ex(pointer, other.pointer) == 1) }
        deinit { EVP_MD_CTX_free(pointer) }
    }
    private var state = State()

    public init() {}

    public mutating func update<D: DataProtocol>(data: D) {
        if !isKnownUniquelyReferenced(&state) { state = State(copying: state) }
        for region in data.regions {
            region.withUnsafeBytes { precondition(EVP_DigestUpdate(state.pointer, $0.baseAddress, $0.count) == 1) }
        }
    }

    public func finalize() -> SHA256Digest {
        let copy = State(copying: state)
        var bytes = [UInt8](repeating: 0, count: 32)
        precondition(EVP_DigestFinal_ex(copy.pointer, &bytes, nil) == 1)
        return SHA256Digest(bytes: bytes)
    }

    public static func hash<D: DataProtocol>(data: D) -> SHA256Digest {
        var hash = SHA256()
        hash.update(data: data)
        return hash.finalize()
    }
}

public enum CryptoKitError: Error { case incorrectKeySize, incorrectParameterSize, authenticationFailure }

public enum Curve25519 {
    public enum Signing {
        public struct PublicKey: Sendable {
            public let rawRepresentation: Data

            public init<D: ContiguousBytes>(rawRepresentation: D) throws {
                self.rawRepresentation = rawRepresentation.withUnsafeBytes { Data($0) }
                guard self.rawRepresentation.count == 32 else { throw CryptoKitError.incorrectKeySize }
            }

            public func isValidSignature<S: DataProtocol, D: DataProtocol>(_ signature: S, for data: D) -> Bool {
                let key = [UInt8](rawRepresentation), signature = [UInt8](signature), data = [UInt8](data)
                guard let pointer = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, key, key.count),
                    let context = EVP_MD_CTX_new()
                else { return false }
                defer {
                    EVP_PKEY_free(pointer)
                    EVP_MD_CTX_free(context)
                }
                guard EVP_DigestVerifyInit(context, nil, nil, nil, pointer) == 1 else { return false }
                return EVP_DigestVerify(context, signature, signature.count, data, data.count) == 1
            }
        }
    }
}
