// A key ring over fake hardware, and a bus thread that the test itself is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "keyd/rotation_schedule.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/unit/keyd/hooked_custodian.h"
#include "tests/unit/keyd/run_posted.h"
#include "tests/unit/keyd/test_store.h"

namespace keyward {

using VersionPtr = std::shared_ptr<KeyVersion>;

class KeyRingFixture : public ::testing::Test {
 protected:
  static constexpr uint32_t kCaller = 1000;

  // Holds the answer of an asynchronous call until the test looks.
  template <class T>
  struct Answer {
    std::shared_ptr<std::optional<Result<T>>> slot = std::make_shared<std::optional<Result<T>>>();
    void operator()(Result<T> result) const { *slot = std::move(result); }
  };

  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(posts_, PostQueue::Create());
    pools_["hsm"] = std::make_unique<CustodianPool>(
        "hsm", testing_support::HookedFactory(hardware_, hooks_), 1, clock_);
    Restart();
  }
  void TearDown() override { pool().Stop(); }

  // A new ring over the same file, as after the end of the process.
  void Restart() {
    FinishTasks();
    Reopen();
  }
  // The same, for when no task is under way.
  void Reopen() {
    schedule_.reset();
    owned_ring_.reset();
    stored_.Reopen();
    ASSERT_OK_AND_ASSIGN(
        owned_ring_, KeyRing::Create({.journal = stored_.journal(),
                                      .pools = pools_,
                                      .clock = clock_,
                                      .rng = rng_,
                                      .post = [this](auto work) { posts_->Post(std::move(work)); },
                                      .rules = [this](std::string_view) { return rules_; },
                                      .changed = [this](const VersionChange& c) { Note(c); },
                                      .transport_key = transport_key_},
                                     Stored()));
    ring_ = owned_ring_.get();
    schedule_.emplace(*ring_, stored_.journal(), clock_,
                      [this](std::string_view) { return rules_; });
  }

  static KeyRecord Hardware(const std::string& name) {
    return {name, Algorithm::kEcdsaP256, Custody::kHardware, "hsm", 1};
  }
  static KeyRecord Derived(const std::string& name) {
    return {name, Algorithm::kEd25519, Custody::kDerived, "", 1};
  }
  static KeyRecord Sealed(const std::string& name) {
    return {name, Algorithm::kEd25519, Custody::kSealed, "hsm", 1};
  }

  Result<VersionPtr> Generate(const KeyRecord& key) {
    const Answer<VersionPtr> answer;
    ring_->Generate(key, kCaller, answer);
    return Await(answer);
  }
  Result<VersionPtr> Rotate(const std::string& name) {
    const Answer<VersionPtr> answer;
    ring_->Rotate(name, kCaller, answer);
    return Await(answer);
  }
  // The versions that nothing signs with any more, once that is recorded.
  Result<std::vector<KeyId>> Revoke(const std::string& name, uint32_t version) {
    const Answer<void> recorded;
    KEYWARD_ASSIGN(std::vector<KeyId> versions, ring_->Revoke(name, version, kCaller, recorded));
    KEYWARD_TRY(Await(recorded));
    return versions;
  }
  Result<VersionPtr> Prepare(const std::string& name) {
    const Answer<VersionPtr> answer;
    ring_->Prepare(name, kCaller, answer);
    return Await(answer);
  }
  Result<VersionPtr> Activate(const std::string& name) {
    const Answer<VersionPtr> answer;
    ring_->Activate(name, kCaller, answer);
    return Await(answer);
  }
  Result<void> Retire(const std::string& name, uint32_t version) {
    const Answer<void> answer;
    ring_->Retire(name, version, kCaller, answer);
    return Await(answer);
  }
  Result<void> Destroy(const std::string& name, uint32_t version = 0) {
    const Answer<void> answer;
    KEYWARD_TRY(ring_->Destroy(name, version, kCaller, answer));
    return Await(answer);
  }
  void Note(const VersionChange& change) {
    changes_.push_back(change.key + " " + std::to_string(change.number) + " " +
                       std::string(Name(change.state)));
  }
  template <class T>
  Result<T> Await(const Answer<T>& answer) {
    if (!RunUntil([&] { return answer.slot->has_value(); })) {
      return Fail(ErrorCode::kInternal, "no answer came");
    }
    return **answer.slot;
  }
  bool RunUntil(const std::predicate auto& reached) {
    return testing_support::RunPostedUntil(*posts_, reached);
  }

  // A signature by `version` over a message, checked with its public half.
  Result<void> SignAndVerify(const VersionPtr& version) {
    const Bytes message(40, 7);
    const Answer<Bytes> answer;
    KEYWARD_TRY(version->WithSigner(kCaller, [&](Result<SignFunction> sign) {
      Result<Bytes> signature = sign ? (*sign)(message) : Result<Bytes>(Fail(sign.error()));
      posts_->Post([answer, signature] { answer(signature); });
    }));
    KEYWARD_ASSIGN(const Bytes signature, Await(answer));
    return version->public_key().Verify(message, signature);
  }

  // Lets the tasks that the ring has queued end, and their ends arrive.
  void FinishTasks() {
    const Answer<void> last;
    ASSERT_OK(pool().Submit(kCaller, [this, last](const Result<Custodian*>&) -> Result<void> {
      posts_->Post([last] { last({}); });
      return {};
    }));
    ASSERT_OK(Await(last));
  }

  StoredState Stored() { return stored_.Load(); }
  bool NothingIsPending() {
    for (const VersionRecord& version : Stored().versions) {
      if (version.state == VersionState::kPending && version.spki.empty()) return false;
    }
    return true;
  }
  CustodianPool& pool() { return *pools_.at("hsm"); }

  testing_support::FakeClock clock_;
  testing_support::TestStore stored_{&clock_};
  SystemRng rng_;
  fakes::FakeHardware hardware_;
  testing_support::CustodianHooks hooks_;
  std::unique_ptr<PostQueue> posts_;
  KeyRingPools pools_;
  policy::RotationRules rules_;
  const std::shared_ptr<const SecretBytes> transport_key_ =
      std::make_shared<const SecretBytes>(SecretBytes::Random(32, rng_).value());
  std::vector<std::string> changes_;  // "web 1 active"
  std::shared_ptr<KeyRing> owned_ring_;
  std::optional<RotationSchedule> schedule_;
  KeyRing* ring_ = nullptr;
};

}  // namespace keyward
