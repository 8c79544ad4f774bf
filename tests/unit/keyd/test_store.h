// A store in a folder of its own, its journal, and a counter in memory that confirms it.
#pragma once

#include <filesystem>
#include <memory>

#include "audit/directory_storage.h"
#include "core/rng.h"
#include "keyd/epoch_counter.h"
#include "keyd/journal.h"
#include "keyd/master_key.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/audit/faulty_disk.h"

namespace keyward::testing_support {

class TestStore {
 public:
  // `clock`, which outlives it, is the audit log's.
  explicit TestStore(const Clock* clock = nullptr)
      : master_(MasterKey::Make(rng_).value()), trail_(clock == nullptr ? clock_ : *clock, rng_) {
    Take(Store::Create(path(), Keys(), rng_, counter_, {}));
  }
  // As after the end of the process.
  void Reopen() {
    Close();
    Take(TryOpen());
  }
  void Close() {
    if (journal_ != nullptr) journal_->Stop();
    journal_.reset();
    store_.reset();
    trail_.Close();
  }
  Result<std::unique_ptr<Store>> TryOpen() { return Store::Open(path(), Keys(), rng_); }

  StoreKeys Keys() const {
    return {master_.Derive(Subkey::kStoreMac).value(),
            master_.Derive(Subkey::kWrapping).value(),
            {1, 2, 3}};
  }
  std::string path() const { return directory_.File("state.db"); }
  std::string reserve() const { return directory_.File("reserve"); }
  Store& store() { return *store_; }
  Journal& journal() { return *journal_; }
  AuditTrail& trail() { return trail_; }
  std::filesystem::path audit_folder() const { return directory_.File("audit"); }
  // The audit log from now on is on `disk`.
  void MoveAudit(FaultyDisk& disk) {
    disk_ = &disk;
    trail_.Close();
    EXPECT_OK(trail_.Open(disk.Open(), {}));
    EXPECT_OK(journal_ == nullptr ? Result<void>() : journal_->NoteAuditHead());
  }
  uint64_t counter() const { return counter_; }
  StoredState Load() { return store_->Load().value(); }
  Result<void> Commit(const Store::Change& change) {
    return store_->Commit(change, Store::Epoch::kAdvances);
  }
  // The counter agrees with the store, whatever was committed past the journal.
  void Sync() { counter_ = store_->epoch(); }
  // While false, the counter does not answer.
  void SetAvailable(bool available) { available_ = available; }
  // Has the counter answer only when told to: see Answer.
  void HoldAnswers() { holding_ = true; }
  bool Answer() {
    if (held_ == nullptr) return false;
    std::exchange(held_, nullptr)();
    return true;
  }

 private:
  void Take(Result<std::unique_ptr<Store>> store) {
    store_ = std::move(store).value();
    std::filesystem::create_directory(audit_folder());
    EXPECT_OK(
        trail_.Open(disk_ == nullptr ? audit::OpenDirectory(audit_folder()).value() : disk_->Open(),
                    {.limits = {}, .expected_head = Load().audit_head, .signers = {}}));
    journal_ = std::make_shared<Journal>(
        *store_, trail_, [this](uint64_t epoch, const auto& done) { Confirm(epoch, done); },
        store_->epoch() != counter_);
  }
  void Confirm(uint64_t epoch, const std::function<void(Result<void>)>& done) {
    const auto answer = [this, epoch, done] {
      if (!available_) return done(Fail(ErrorCode::kCustodianUnavailable, "switched off"));
      if (counter_ + 1 == epoch) ++counter_;
      done(counter_ == epoch ? Result<void>() : Fail(ErrorCode::kRolledBack, "elsewhere"));
    };
    if (!holding_) return answer();
    held_ = answer;
  }

  TempDir directory_;
  SystemRng rng_;
  MasterKey master_;
  FakeClock clock_;
  AuditTrail trail_;
  FaultyDisk* disk_ = nullptr;
  uint64_t counter_ = 7;
  bool available_ = true;
  bool holding_ = false;
  std::function<void()> held_;
  std::unique_ptr<Store> store_;
  std::shared_ptr<Journal> journal_;
};

}  // namespace keyward::testing_support
