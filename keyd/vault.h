// What keyd has only while it is unsealed: the stored state, and the keys in it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "keyd/audit_checkpoints.h"
#include "keyd/held_secret.h"
#include "keyd/journal.h"
#include "keyd/key_ring.h"
#include "keyd/registry.h"
#include "keyd/rotation_schedule.h"
#include "keyd/service_key.h"
#include "keyd/store.h"

namespace keyward {

// Whose state it is, for backups of it.
struct BackupIdentity {
  SecretBytes key;     // Subkey::kBackup
  Bytes service;       // Subkey::kCheck
  std::string master;  // custodian of the master key
};

// Belongs to the bus thread. Its end seals: what waits is told so, and no key stays unsealed.
class Vault {
 public:
  struct Parts {
    std::unique_ptr<Store> store;
    const StoredState& state;  // what is in it
    AuditTrail& trail;         // open
    std::chrono::seconds checkpoint_interval;
    uint64_t counter;  // what the hardware has counted to
    Journal::Confirm confirm;
    std::string custodian;  // of the service key
    KeyRingPools& pools;
    const Clock& clock;
    Rng& rng;
    KeyRing::Post post;
    RotationRulesOf rules;
    std::function<void(const VersionChange&)> version_changed;
    BackupIdentity backup = {};
    std::shared_ptr<const SecretBytes> token_key = nullptr;  // Subkey::kToken
    std::shared_ptr<const SecretBytes> transport_key;        // Subkey::kTransport
  };
  // Errors: kDataCorrupt, kIo.
  static Result<std::unique_ptr<Vault>> Create(Parts parts);
  ~Vault();
  Vault(const Vault&) = delete;
  Vault& operator=(const Vault&) = delete;

  Journal& journal() { return *journal_; }
  Registry& registry() { return *registry_; }
  KeyRing& keys() { return *keys_; }
  AuditCheckpoints& checkpoints() { return *checkpoints_; }
  RotationSchedule& schedule() { return *schedule_; }
  ServiceKey& service_key() { return *service_key_; }
  const BackupIdentity& backup() const { return backup_; }
  // For who must not have it longer than the vault.
  std::weak_ptr<const SecretBytes> token_key() const { return token_key_; }
  // For what goes with the vault.
  const SecretBytes& transport_key() const { return *transport_key_; }
  // What the caller holds of it ends with the vault, whoever waits for hardware meanwhile.
  template <class T>
  std::shared_ptr<HeldSecret<T>> Hold(T secret) {
    auto held = std::make_shared<HeldSecret<T>>(std::move(secret));
    std::erase_if(held_, [](const auto& each) { return each.expired(); });
    held_.push_back(held);
    return held;
  }
  // What is on disk, and its epoch. Errors: kIo, kDataCorrupt.
  Result<StoredState> Load() { return store_->Load(); }
  // Sets disk space aside for revocations, where some is missing.
  void TendReserve() { store_->TendReserve(); }
  uint64_t epoch() const { return store_->epoch(); }

 private:
  Vault() = default;

  BackupIdentity backup_;
  std::shared_ptr<const SecretBytes> token_key_;
  std::shared_ptr<const SecretBytes> transport_key_;
  std::vector<std::weak_ptr<EndsWithVault>> held_;
  std::unique_ptr<Store> store_;
  std::shared_ptr<Journal> journal_;
  std::unique_ptr<Registry> registry_;
  std::shared_ptr<KeyRing> keys_;
  std::optional<RotationSchedule> schedule_;
  std::optional<ServiceKey> service_key_;
  std::optional<AuditCheckpoints> checkpoints_;
};

}  // namespace keyward
