#include "tests/fakes/fake_custodian.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#include <algorithm>

#include "core/rng.h"

namespace keyward::fakes {
namespace {

using PkeyPtr = OsslPtr<EVP_PKEY, EVP_PKEY_free>;
using MdCtxPtr = OsslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;

constexpr size_t kNonceSize = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagSize = crypto_aead_xchacha20poly1305_ietf_ABYTES;

PkeyPtr NewPair(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEd25519:
      return PkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    case Algorithm::kEcdsaP256:
      return PkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    case Algorithm::kEcdsaP384:
      return PkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"));
    case Algorithm::kRsaPss2048:
      return PkeyPtr(EVP_RSA_gen(2048));
  }
  return nullptr;
}

Result<PublicKey> PublicHalfOf(EVP_PKEY* pair) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(pair, &der);
  if (size <= 0) return Fail(ErrorCode::kInternal, "no public half");
  const Bytes spki(der, der + size);
  OPENSSL_free(der);
  return PublicKey::FromSpki(spki);
}

const EVP_MD* DigestOf(Algorithm algorithm) {
  if (algorithm == Algorithm::kEd25519) return nullptr;
  return algorithm == Algorithm::kEcdsaP384 ? EVP_sha384() : EVP_sha256();
}

Result<Bytes> SignWith(Algorithm algorithm, EVP_PKEY* pair, ByteView message) {
  const MdCtxPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  Bytes signature(512);
  size_t size = signature.size();
  bool done = context && EVP_DigestSignInit(context.get(), &parameters, DigestOf(algorithm),
                                            nullptr, pair) == 1;
  if (done && algorithm == Algorithm::kRsaPss2048) {
    done = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  if (!done ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
    return Fail(ErrorCode::kInternal, "the fake could not sign");
  }
  signature.resize(size);
  return signature;
}

Result<KeyId> Parse(const KeyReference& reference) {
  KeyId id{};
  if (reference.size() != id.size()) return Fail(ErrorCode::kDataCorrupt, "not a reference");
  std::ranges::copy(reference, id.begin());
  return id;
}

}  // namespace

class FakeSigner final : public Signer {
 public:
  explicit FakeSigner(FakeHardware& hardware) : hardware_(hardware) {}

  std::vector<Algorithm> SigningAlgorithms() const override {
    return {Algorithm::kEd25519, Algorithm::kEcdsaP256, Algorithm::kEcdsaP384,
            Algorithm::kRsaPss2048};
  }

  Result<GeneratedKey> GenerateKey(Algorithm algorithm, const KeyId& id) override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    PkeyPtr pair = NewPair(algorithm);
    if (!pair) return Fail(ErrorCode::kNotSupported, "the fake does not have this algorithm");
    KEYWARD_ASSIGN(PublicKey public_key, PublicHalfOf(pair.get()));
    const std::scoped_lock lock(hardware_.mutex_);
    if (!hardware_.keys_.try_emplace(id, algorithm, std::move(pair)).second) {
      return Fail(ErrorCode::kAlreadyExists, "the key exists already");
    }
    return GeneratedKey{KeyReference(id.begin(), id.end()), std::move(public_key)};
  }

  Result<Bytes> Sign(const KeyReference& reference, ByteView message) override {
    KEYWARD_ASSIGN(const KeyId id, Parse(reference));
    KEYWARD_TRY(hardware_.CheckAvailable());
    const std::scoped_lock lock(hardware_.mutex_);
    const auto key = hardware_.keys_.find(id);
    if (key == hardware_.keys_.end()) return Fail(ErrorCode::kNotFound, "no such key");
    return SignWith(key->second.first, key->second.second.get(), message);
  }

  Result<void> DestroyKey(const KeyReference& reference) override {
    KEYWARD_ASSIGN(const KeyId id, Parse(reference));
    return DestroyUnrecorded(std::span(&id, 1));
  }

  Result<void> DestroyUnrecorded(std::span<const KeyId> announced) override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    const std::scoped_lock lock(hardware_.mutex_);
    for (const KeyId& id : announced) hardware_.keys_.erase(id);
    return {};
  }

 private:
  FakeHardware& hardware_;
};

// nonce | XChaCha20-Poly1305 ciphertext and tag, with the context as associated data
class FakeSealer final : public Sealer {
 public:
  explicit FakeSealer(FakeHardware& hardware) : hardware_(hardware) {}

  Result<Bytes> Seal(const SecretBytes& secret, ByteView context) override {
    if (secret.empty()) return Fail(ErrorCode::kInvalidArgument, "there is nothing to seal");
    if (secret.size() > kMaxSealedSecret) return Fail(ErrorCode::kTooLarge, "at most 96 bytes");
    KEYWARD_TRY(hardware_.CheckAvailable());
    Bytes blob = RandomBytes(rng_, kNonceSize);
    blob.resize(kNonceSize + secret.size() + kTagSize);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        blob.data() + kNonceSize, nullptr, secret.RevealSecret().data(), secret.size(),
        context.data(), context.size(), nullptr, blob.data(), hardware_.wrapping_key_.data());
    return blob;
  }

  Result<SecretBytes> Unseal(ByteView blob, ByteView context) override {
    constexpr size_t kOverhead = kNonceSize + kTagSize;
    if (blob.size() <= kOverhead || blob.size() > kOverhead + kMaxSealedSecret) {
      return Fail(ErrorCode::kMalformed, "not a blob");
    }
    KEYWARD_TRY(hardware_.CheckAvailable());
    KEYWARD_ASSIGN(SecretBytes secret, SecretBytes::Create(blob.size() - kOverhead));
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            secret.RevealSecretForWriting().data(), nullptr, nullptr, blob.data() + kNonceSize,
            blob.size() - kNonceSize, context.data(), context.size(), blob.data(),
            hardware_.wrapping_key_.data()) != 0) {
      return Fail(ErrorCode::kAuthenticationFailed, "not authentic");
    }
    return secret;
  }

 private:
  FakeHardware& hardware_;
  SystemRng rng_;
};

class FakeCounter final : public Counter {
 public:
  explicit FakeCounter(FakeHardware& hardware) : hardware_(hardware) {}

  Result<uint64_t> Create(const KeyId& id) override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    const std::scoped_lock lock(hardware_.mutex_);
    if (!hardware_.counters_.try_emplace(id, 1).second) {
      return Fail(ErrorCode::kAlreadyExists, "the counter exists already");
    }
    return 1;
  }
  Result<uint64_t> Read(const KeyId& id) override { return Add(id, 0); }
  Result<uint64_t> Increment(const KeyId& id) override { return Add(id, 1); }
  Result<void> Destroy(const KeyId& id) override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    const std::scoped_lock lock(hardware_.mutex_);
    hardware_.counters_.erase(id);
    return {};
  }

 private:
  Result<uint64_t> Add(const KeyId& id, uint64_t count) {
    KEYWARD_TRY(hardware_.CheckAvailable());
    const std::scoped_lock lock(hardware_.mutex_);
    const auto found = hardware_.counters_.find(id);
    if (found == hardware_.counters_.end()) return Fail(ErrorCode::kNotFound, "no such counter");
    return found->second += count;
  }

  FakeHardware& hardware_;
};

// The record is a Sealer's blob; what DestroyMaster destroys is the leave to open it.
class FakeMasterSealer final : public MasterSealer {
 public:
  FakeMasterSealer(FakeHardware& hardware, Sealer& sealer) : hardware_(hardware), sealer_(sealer) {}

  Result<Bytes> SealMaster(const KeyId& id, const SecretBytes& master,
                           const std::optional<PublicKey>& authority) override {
    if (authority) return Fail(ErrorCode::kInvalidArgument, "the fake has no PCRs");
    KEYWARD_ASSIGN(Bytes record, sealer_.Seal(master, id));
    const std::scoped_lock lock(hardware_.mutex_);
    if (!hardware_.masters_.insert(id).second) {
      return Fail(ErrorCode::kAlreadyExists, "the master key exists already");
    }
    return record;
  }
  Result<SecretBytes> UnsealMaster(const KeyId& id, ByteView record,
                                   std::span<const SignedPcrPolicy> /*policies*/) override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    {
      const std::scoped_lock lock(hardware_.mutex_);
      if (!hardware_.masters_.contains(id)) return Fail(ErrorCode::kNotFound, "destroyed");
    }
    return sealer_.Unseal(record, id);
  }
  Result<void> DestroyMaster(const KeyId& id) override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    const std::scoped_lock lock(hardware_.mutex_);
    hardware_.masters_.erase(id);
    return {};
  }

 private:
  FakeHardware& hardware_;
  Sealer& sealer_;
};

class FakeCustodian final : public Custodian {
 public:
  explicit FakeCustodian(FakeHardware& hardware)
      : hardware_(hardware),
        signer_(hardware),
        sealer_(hardware),
        counter_(hardware),
        master_sealer_(hardware, sealer_) {}

  Signer& signer() override { return signer_; }
  Sealer& sealer() override { return sealer_; }
  Counter& counter() override { return counter_; }
  MasterSealer& master_sealer() override { return master_sealer_; }
  Attester* attester() override { return nullptr; }
  Result<void> CheckHealth() override {
    KEYWARD_TRY(hardware_.CheckAvailable());
    notes_ = hardware_.Notes();
    return {};
  }
  HardwareNotes Notes() const override { return notes_; }
  std::string Describe() const override { return "a fake in memory"; }

 private:
  FakeHardware& hardware_;
  FakeSigner signer_;
  FakeSealer sealer_;
  FakeCounter counter_;
  FakeMasterSealer master_sealer_;
  HardwareNotes notes_;
};

FakeHardware::FakeHardware() : wrapping_key_(crypto_aead_xchacha20poly1305_ietf_KEYBYTES) {
  SystemRng().Fill(wrapping_key_);
}

Result<std::unique_ptr<Custodian>> FakeHardware::Make() {
  KEYWARD_TRY(CheckAvailable());
  return std::make_unique<FakeCustodian>(*this);
}

void FakeHardware::SetNotes(HardwareNotes notes) {
  const std::scoped_lock lock(mutex_);
  notes_ = std::move(notes);
}

HardwareNotes FakeHardware::Notes() const {
  const std::scoped_lock lock(mutex_);
  return notes_;
}

size_t FakeHardware::KeyCount() const {
  const std::scoped_lock lock(mutex_);
  return keys_.size();
}

size_t FakeHardware::MasterCount() const {
  const std::scoped_lock lock(mutex_);
  return masters_.size();
}

Result<void> FakeHardware::CheckAvailable() const {
  if (available_) return {};
  return Fail(ErrorCode::kCustodianUnavailable, "the fake is switched off");
}

}  // namespace keyward::fakes
