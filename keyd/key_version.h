// One version of a key, as the threads that use it share it.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <variant>

#include "core/public_key.h"
#include "core/secret_bytes.h"
#include "keyd/custodian_pool.h"
#include "keyd/store_records.h"

namespace keyward {

// Signs a whole message with a key version. Errors: kRevoked, and the custodian's.
using SignFunction = std::function<Result<Bytes>(ByteView message)>;

// Where a version has its private half from: the custodian that keeps it or opens it, or, custody
// derived, Subkey::kTransport, which is gone once the service is sealed.
using KeySource = std::variant<CustodianPool*, std::weak_ptr<const SecretBytes>>;

// Any thread may call. The private half is in the custodian (custody hardware), or in this object's
// secret memory from its first use until it is revoked (custody sealed and derived).
class KeyVersion : public std::enable_shared_from_this<KeyVersion> {
 public:
  // What `source` points to outlives it, but for the subkey.
  KeyVersion(KeyRecord key, VersionRecord record, PublicKey public_key, KeySource source);

  // Runs `task` where this version can sign: on a thread of the custodian, or at once on the
  // calling thread when the private half is unsealed already, or is derived, which takes
  // microseconds. `task` runs once, with why it cannot sign where that is found out there. Errors,
  // with which `task` never runs: those of CheckUsable; kBusy, kCustodianUnavailable.
  Result<void> WithSigner(uint32_t caller, std::function<void(Result<SignFunction>)> task);

  // pending -> active.
  void Activate(WallTime now);
  // active -> retiring: goes on signing what is under way, and proving itself, until EndGrace.
  void Retire(WallTime until);
  // retiring -> retired: no signature leaves any more; what is unsealed is wiped.
  void EndGrace();
  // The custodian has destroyed the private half of what was revoked.
  void MarkDestroyed();
  // From now on no signature leaves; what is unsealed is wiped. Waits for a Release under way.
  void Revoke(WallTime now);
  // The same because the service is sealed; the version's state stays what it is.
  void Seal();

  // Errors: kWrongState (not active yet), kExpired (retired), kRevoked, kSealed.
  Result<void> CheckUsable() const;
  // Runs `send`, which lets a signature of this version leave, and no revocation in between.
  // Errors: those of CheckUsable; then `send` never runs.
  Result<void> Release(const std::invocable auto& send) {
    const std::shared_lock lock(releasing_);
    KEYWARD_TRY(CheckUsable());
    send();
    return {};
  }

  VersionState state() const { return state_; }
  const KeyRecord& key() const { return key_; }
  // As it was recorded; what changed since is told by the functions here.
  const VersionRecord& record() const { return record_; }
  const KeyId& id() const { return record_.id; }
  uint32_t number() const { return record_.number; }
  WallTime created() const { return record_.created; }
  std::optional<WallTime> activated() const;
  std::optional<WallTime> retire_at() const;  // while it is retiring
  uint64_t uses() const { return uses_; }     // signatures
  std::optional<WallTime> revoked() const;    // also when it was destroyed afterwards
  const Bytes& reference() const { return record_.reference; }
  const PublicKey& public_key() const { return public_key_; }

 private:
  Result<Bytes> SignInHardware(Custodian& custodian, ByteView message);
  Result<Bytes> SignUnsealed(ByteView message);
  Result<void> Unseal(Custodian& custodian);
  Result<void> Derive(const SecretBytes* transport_key);
  // Takes the seed of the pair into use.
  Result<void> Take(const SecretBytes& seed);
  bool IsUnsealed();
  SignFunction Unsealed();
  Result<void> WithCustodian(CustodianPool& pool, uint32_t caller,
                             std::function<void(Result<SignFunction>)> task);
  // Ends all use: whoever signs just now is waited for.
  void End(VersionState state);

  const KeyRecord key_;
  const VersionRecord record_;
  const PublicKey public_key_;
  const KeySource source_;
  std::atomic<VersionState> state_;
  std::atomic<bool> sealed_ = false;
  std::shared_mutex releasing_;  // held alone to revoke
  std::atomic<uint64_t> uses_;
  mutable std::mutex mutex_;
  std::optional<WallTime> activated_;
  std::optional<WallTime> retire_at_;
  std::optional<WallTime> revoked_;
  SecretBytes unsealed_;  // libsodium's Ed25519 secret key, 64 bytes
};

// The version of a key that signs just now, followed by whoever holds a handle to the key. Any
// thread.
class ActiveVersion {
 public:
  // Errors: kRevoked when the key has none.
  Result<std::shared_ptr<KeyVersion>> Get() const;
  void Set(std::shared_ptr<KeyVersion> version);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<KeyVersion> version_;
};

// What a sealed key's blob is bound to: its name and id.
Bytes SealContext(const std::string& key, const KeyId& id);

// A fresh Ed25519 pair for custody `sealed`: the public half and the sealed seed. Runs on a thread
// of the custodian. Errors: the Sealer's.
Result<GeneratedKey> GenerateSealedKey(Custodian& custodian, const std::string& key,
                                       const KeyId& id, Rng& rng);

}  // namespace keyward
