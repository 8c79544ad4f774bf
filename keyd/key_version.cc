#include "keyd/key_version.h"

#include <sodium.h>

#include <utility>

#include "keyd/derived_key.h"
#include "keyd/ed25519_seed.h"

namespace keyward {

Bytes SealContext(const std::string& key, const KeyId& id) {
  Bytes context = ToBytes(AsBytes("keyward ed25519 seed "));
  Append(context, id);
  Append(context, AsBytes(key));
  return context;
}

Result<GeneratedKey> GenerateSealedKey(Custodian& custodian, const std::string& key,
                                       const KeyId& id, Rng& rng) {
  KEYWARD_ASSIGN(const SecretBytes seed, SecretBytes::Random(crypto_sign_SEEDBYTES, rng));
  KEYWARD_ASSIGN(Ed25519Pair pair, PairOfSeed(seed));
  KEYWARD_ASSIGN(Bytes blob, custodian.sealer().Seal(seed, SealContext(key, id)));
  return GeneratedKey{std::move(blob), std::move(pair.public_key)};
}

KeyVersion::KeyVersion(KeyRecord key, VersionRecord record, PublicKey public_key, KeySource source)
    : key_(std::move(key)),
      record_(std::move(record)),
      public_key_(std::move(public_key)),
      source_(std::move(source)),
      state_(record_.state),
      uses_(record_.uses),
      activated_(record_.activated),
      retire_at_(record_.retire_at),
      revoked_(record_.revoked) {}

Result<void> KeyVersion::WithSigner(uint32_t caller,
                                    std::function<void(Result<SignFunction>)> task) {
  KEYWARD_TRY(CheckUsable());
  if (IsUnsealed()) {
    task(Unsealed());
    return {};
  }
  if (CustodianPool* const* pool = std::get_if<CustodianPool*>(&source_)) {
    return WithCustodian(**pool, caller, std::move(task));
  }
  const Result<void> derived =
      Derive(std::get<std::weak_ptr<const SecretBytes>>(source_).lock().get());
  task(derived ? Result<SignFunction>(Unsealed()) : Fail(derived.error()));
  return {};
}

Result<void> KeyVersion::WithCustodian(CustodianPool& pool, uint32_t caller,
                                       std::function<void(Result<SignFunction>)> task) {
  auto self = shared_from_this();
  return pool.Submit(caller,
                     [self, task = std::move(task)](Result<Custodian*> custodian) -> Result<void> {
                       if (!custodian) {
                         task(Fail(custodian.error()));
                         return Fail(custodian.error());
                       }
                       if (self->key_.custody == Custody::kSealed) {
                         Result<void> unsealed = self->Unseal(**custodian);
                         if (!unsealed) {
                           task(Fail(unsealed.error()));
                           return unsealed;
                         }
                         task(self->Unsealed());
                         return {};
                       }
                       Result<void> health;
                       task(SignFunction([&](ByteView message) -> Result<Bytes> {
                         Result<Bytes> signature = self->SignInHardware(**custodian, message);
                         if (!signature) health = Fail(signature.error());
                         return signature;
                       }));
                       return health;
                     });
}

void KeyVersion::Activate(WallTime now) {
  VersionState pending = VersionState::kPending;
  if (!state_.compare_exchange_strong(pending, VersionState::kActive)) return;
  const std::lock_guard lock(mutex_);
  activated_ = now;
}

void KeyVersion::Retire(WallTime until) {
  VersionState active = VersionState::kActive;
  if (!state_.compare_exchange_strong(active, VersionState::kRetiring)) return;
  const std::lock_guard lock(mutex_);
  retire_at_ = until;
  unsealed_.Wipe();  // a handshake that is under way has it unsealed once more
}

void KeyVersion::EndGrace() {
  if (state_ == VersionState::kRetiring) End(VersionState::kRetired);
}

void KeyVersion::Revoke(WallTime now) {
  End(VersionState::kRevoked);
  const std::lock_guard lock(mutex_);
  if (!revoked_) revoked_ = now;
}

void KeyVersion::MarkDestroyed() { End(VersionState::kDestroyed); }

void KeyVersion::End(VersionState state) {
  state_ = state;
  const std::scoped_lock lock(releasing_, mutex_);
  retire_at_.reset();
  unsealed_.Wipe();
}

std::optional<WallTime> KeyVersion::revoked() const {
  const std::lock_guard lock(mutex_);
  return revoked_;
}

std::optional<WallTime> KeyVersion::activated() const {
  const std::lock_guard lock(mutex_);
  return activated_;
}

std::optional<WallTime> KeyVersion::retire_at() const {
  const std::lock_guard lock(mutex_);
  return retire_at_;
}

void KeyVersion::Seal() {
  sealed_ = true;
  const std::scoped_lock lock(releasing_, mutex_);
  unsealed_.Wipe();
}

Result<Bytes> KeyVersion::SignInHardware(Custodian& custodian, ByteView message) {
  KEYWARD_TRY(CheckUsable());
  Result<Bytes> signature = custodian.signer().Sign(record_.reference, message);
  KEYWARD_TRY(CheckUsable());  // revoked while the hardware was busy: nothing leaves
  if (signature) ++uses_;
  return signature;
}

Result<Bytes> KeyVersion::SignUnsealed(ByteView message) {
  const std::lock_guard lock(mutex_);
  KEYWARD_TRY(CheckUsable());
  if (unsealed_.empty()) return Fail(ErrorCode::kRevoked, "the key is not usable any more");
  Bytes signature(crypto_sign_BYTES);
  if (crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                           unsealed_.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kInternal, "signing failed");
  }
  ++uses_;
  return signature;
}

Result<void> KeyVersion::Unseal(Custodian& custodian) {
  if (IsUnsealed()) return {};
  KEYWARD_TRY(CheckUsable());  // it may have waited long for the hardware
  KEYWARD_ASSIGN(const SecretBytes seed,
                 custodian.sealer().Unseal(record_.reference, SealContext(key_.name, id())));
  return Take(seed);
}

Result<void> KeyVersion::Derive(const SecretBytes* transport_key) {
  if (transport_key == nullptr) return Fail(ErrorCode::kSealed, "the service is sealed");
  KEYWARD_ASSIGN(const SecretBytes seed,
                 DeriveSeed(*transport_key, key_.name, number(), record_.reference));
  return Take(seed);
}

Result<void> KeyVersion::Take(const SecretBytes& seed) {
  KEYWARD_ASSIGN(Ed25519Pair pair, PairOfSeed(seed));
  if (pair.public_key != public_key_) {
    return Fail(ErrorCode::kDataCorrupt, "the key's seed is not the one that was recorded");
  }
  const std::lock_guard lock(mutex_);
  KEYWARD_TRY(CheckUsable());  // a revocation in between must find nothing to wipe later
  unsealed_ = std::move(pair.secret);
  return {};
}

bool KeyVersion::IsUnsealed() {
  const std::lock_guard lock(mutex_);
  return !unsealed_.empty();
}

SignFunction KeyVersion::Unsealed() {
  return [self = shared_from_this()](ByteView message) { return self->SignUnsealed(message); };
}

Result<void> KeyVersion::CheckUsable() const {
  switch (state()) {
    case VersionState::kActive:
    case VersionState::kRetiring:
      break;
    case VersionState::kPending:
      return Fail(ErrorCode::kWrongState, "this version of the key is not active yet");
    case VersionState::kRetired:
      return Fail(ErrorCode::kExpired, "this version of the key is retired; use the active one");
    case VersionState::kRevoked:
      return Fail(ErrorCode::kRevoked, "the key was revoked");
    case VersionState::kDestroyed:
      return Fail(ErrorCode::kRevoked, "the key was destroyed");
  }
  if (sealed_) return Fail(ErrorCode::kSealed, "the service is sealed; see keyctl status");
  return {};
}

Result<std::shared_ptr<KeyVersion>> ActiveVersion::Get() const {
  const std::lock_guard lock(mutex_);
  if (version_ == nullptr || version_->state() != VersionState::kActive) {
    return Fail(ErrorCode::kRevoked, "the key has no active version; rotate it or make another");
  }
  return version_;
}

void ActiveVersion::Set(std::shared_ptr<KeyVersion> version) {
  const std::lock_guard lock(mutex_);
  version_ = std::move(version);
}

}  // namespace keyward
