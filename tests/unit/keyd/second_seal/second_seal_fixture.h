// A keyd whose master key is in one custodian, and that has another; both are fakes. The test is
// its bus thread.
#pragma once

#include <fcntl.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/file.h"
#include "core/secret_memory.h"
#include "keyd/ask.h"
#include "keyd/initialise.h"
#include "keyd/second_seal/reseal.h"
#include "keyd/second_seal/second_seal_service.h"
#include "keyd/unsealer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyd/backup/recovery_pair.h"
#include "tests/unit/keyd/hooked_custodian.h"
#include "tests/unit/keyd/run_posted.h"
#include "tests/unit/keyd/silent_hardware.h"

namespace keyward::testing_support {

class SecondSealFixture : public ::testing::Test {
 protected:
  static constexpr uint32_t kCaller = 1000;

  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(posts_, PostQueue::Create());
    ASSERT_OK_AND_ASSIGN(channels_, ChannelServer::Create(1));
    MakePools();
    ASSERT_OK(Initialise({.custodian = "tpm", .authority = std::nullopt}, pools_, Folder(), rng_));
  }
  void TearDown() override { Stop(); }

  // As a process that starts has them.
  void MakePools() {
    pools_.clear();
    pools_["tpm"] = std::make_unique<CustodianPool>("tpm", HookedFactory(tpm_, hooks_), 1, clock_);
    pools_["hsm"] = std::make_unique<CustodianPool>("hsm", HookedFactory(hsm_, hooks_), 1, clock_);
  }
  Result<void> Start() {
    MakePools();
    daemon_.emplace(Daemon{.clock = clock_,
                           .rng = rng_,
                           .pools = pools_,
                           .sessions = sessions_,
                           .channels = *channels_,
                           .audit = trail_,
                           .tokens = tokens_,
                           .post = [this](auto work) { posts_->Post(std::move(work)); },
                           .policy = std::make_shared<const policy::Policy>(),
                           .boot = Boot::Begin(std::nullopt, rng_)});
    KEYWARD_ASSIGN(unsealer_, Unsealer::Create(*daemon_, Folder()));
    service_.emplace(*daemon_, *unsealer_, Folder());
    return Wait([this](const auto& done) { unsealer_->TryUnseal(done); });
  }
  void Stop() {
    if (unsealer_) unsealer_->Stop();
    for (auto& [name, pool] : pools_) pool->Stop();
    if (daemon_) daemon_->vault.reset();
    posts_->RunPosted();
    trail_.Close();
    service_.reset();
    unsealer_.reset();
    daemon_.reset();
  }

  Result<void> Wait(const std::function<void(SecondSealService::Done)>& ask) {
    auto answer = std::make_shared<std::optional<Result<void>>>();
    ask([answer](Result<void> result) { *answer = std::move(result); });
    if (!RunPostedUntil(*posts_, [&] { return answer->has_value(); })) {
      return Fail(ErrorCode::kInternal, "no answer came");
    }
    return **answer;
  }
  Result<void> Make(const SecondSealRequest& request) {
    return Wait([&](const auto& done) { service_->Make(request, kCaller, done); });
  }
  Result<void> MakeInHsm() { return Make({"hsm", {}}); }
  Result<void> MakeForRecovery() { return Make({kInRecovery, ToBytes(AsBytes(certificate_))}); }
  Result<void> Forget(bool lost = false) {
    return Wait([&](const auto& done) { service_->Forget(lost, kCaller, done); });
  }
  Result<void> Zeroize() {
    return Wait([&](const auto& done) { unsealer_->ZeroizeAll(done); });
  }
  Result<void> Generate(const std::string& name, Custody custody, const std::string& custodian) {
    const Algorithm algorithm =
        custody == Custody::kHardware ? Algorithm::kEcdsaP256 : Algorithm::kEd25519;
    return Wait([&](const auto& done) {
      daemon_->vault->keys().Generate({name, algorithm, custody, custodian, 1}, kCaller,
                                      [done](const Result<std::shared_ptr<KeyVersion>>& made) {
                                        done(made ? Result<void>() : Fail(made.error()));
                                      });
    });
  }
  // The service key signs the audit log.
  Result<void> SignAudit() {
    return Wait([this](const auto& done) { daemon_->vault->checkpoints().Sign(done); });
  }

  // Bytes of secrets that a keyd which is sealed has; it is unsealed again.
  size_t SecretsWhenSealed() {
    EXPECT_OK(unsealer_->Seal());
    const size_t used = GetSecretMemoryUse().used;
    EXPECT_OK(Wait([this](const auto& done) { unsealer_->Unseal(kCaller, done); }));
    return used;
  }
  // What `custodian` was asked for before it has done, and this thread knows.
  void Settle(const std::string& custodian) {
    ASSERT_OK(Wait([&](const auto& done) {
      Ask<void>(
          *pools_.at(custodian), kCaller, daemon_->post, [](Custodian&) { return Result<void>(); },
          done);
    }));
  }
  // Keeps `custodian` from answering anything until `silent` does; both outlive that.
  void Silence(const std::string& custodian, SilentHardware& silent) {
    Ask<void>(
        *pools_.at(custodian), kCaller, daemon_->post,
        [&silent](Custodian&) {
          silent.Hold();
          return Result<void>();
        },
        [](const Result<void>&) {});
    silent.AwaitReached();
  }

  // `keyd` is not running. With a recovery key where there is one.
  Result<Resealing> ResealTo(const std::string& custodian, const RecoveryPair* recovery = nullptr,
                             bool for_good = true) {
    MakePools();
    ResealRequest request{
        .custodian = custodian, .authority = std::nullopt, .input = {}, .for_good = for_good};
    UniqueFd key;
    if (recovery != nullptr) {
      EXPECT_OK(ReplaceFile(Folder() / "key.pem", AsBytes(recovery->KeyPem())));
      key = UniqueFd(open((Folder() / "key.pem").c_str(), O_RDONLY | O_CLOEXEC));
      request.input.key = key.get();
    }
    return Reseal(request, {pools_, Folder(), {}, clock_, rng_});
  }

  const std::filesystem::path& Folder() const { return directory_.path(); }
  bool IsThere(const std::string& name) const { return FileExists(Folder() / name).value_or(true); }
  Bytes Contents(const std::string& name) const {
    return ReadFile(Folder() / name, size_t{1} << 24).value().value_or(Bytes());
  }
  void Put(const std::string& name, const Bytes& contents) {
    ASSERT_OK(ReplaceFile(Folder() / name, contents));
  }
  std::string AuditLog() const {
    std::string text;
    for (const auto& file : std::filesystem::directory_iterator(Folder() / "audit")) {
      text += AsText(ReadFile(file.path(), size_t{1} << 24).value().value_or(Bytes()));
    }
    return text;
  }

  const RecoveryPair recovery_ = RecoveryPair::Ec();
  const std::string certificate_ = recovery_.CertificatePem();
  TempDir directory_;
  FakeClock clock_;
  SystemRng rng_;
  fakes::FakeHardware tpm_;
  fakes::FakeHardware hsm_;
  CustodianHooks hooks_;
  SessionTable sessions_;
  SessionTokens tokens_{sessions_, clock_};
  AuditTrail trail_{clock_, rng_};
  std::unique_ptr<PostQueue> posts_;
  std::unique_ptr<ChannelServer> channels_;
  KeyRingPools pools_;
  std::optional<Daemon> daemon_;
  std::unique_ptr<Unsealer> unsealer_;
  std::optional<SecondSealService> service_;
};

}  // namespace keyward::testing_support
