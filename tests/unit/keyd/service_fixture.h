// The service with a vault over fake hardware, modules, peers and keys.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>

#include "keyd/service.h"
#include "tests/unit/audit/audit_fixture.h"
#include "tests/unit/keyd/key_ring_fixture.h"

namespace keyward {

// One user that is two modules, "a" and "b", and the peers "c" and "d", of which "a" may talk to
// "c", "b" to both.
class ServiceFixture : public KeyRingFixture {
 protected:
  void SetUp() override {
    KeyRingFixture::SetUp();
    ASSERT_OK_AND_ASSIGN(channels_, ChannelServer::Create(1));
    daemon_.emplace(Daemon{.clock = clock_,
                           .rng = rng_,
                           .pools = pools_,
                           .sessions = sessions_,
                           .channels = *channels_,
                           .audit = stored_.trail(),
                           .tokens = tokens_,
                           .post = [this](auto work) { posts_->Post(std::move(work)); },
                           .policy = std::make_shared<const policy::Policy>(ThePolicy()),
                           .boot = Boot::Begin(std::nullopt, rng_)});
    service_.emplace(*daemon_);
    EXPECT_THAT(service_->ListKeys(caller_), testing_support::FailsWith(ErrorCode::kSealed));
    OpenVault();
    ASSERT_OK(Generate(Hardware("web")));
    for (const char* name : {"a-id", "b-id"}) ASSERT_OK(Generate(Sealed(name)));
    ASSERT_OK_AND_ASSIGN(const VersionPtr peer, Generate(Sealed("elsewhere")));
    for (const char* name : {"c", "d"}) ASSERT_OK(EnrolPeer(name, peer->public_key()));
  }
  // Whose sessions end by the service's own ways.
  void TearDown() override {
    channels_->Stop();
    KeyRingFixture::TearDown();
  }
  void OpenVault() {
    stored_.Close();
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Store> store, stored_.TryOpen());
    const uint64_t epoch = store->epoch();
    ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
    stored_.MoveAudit(disk_);
    const auto confirm = [this](uint64_t, const auto& done) { done(confirm_with_()); };
    ASSERT_OK_AND_ASSIGN(daemon_->vault,
                         Vault::Create({std::move(store),
                                        state,
                                        stored_.trail(),
                                        std::chrono::hours(1),
                                        epoch,
                                        confirm,
                                        "hsm",
                                        pools_,
                                        clock_,
                                        rng_,
                                        daemon_->post,
                                        [](std::string_view) { return policy::RotationRules(); },
                                        [](const VersionChange&) {},
                                        {},
                                        nullptr,
                                        transport_key_}));
    ring_ = &daemon_->vault->keys();
    registry_ = &daemon_->vault->registry();
  }
  Result<void> EnrolModule(const std::string& name, const std::string& key) {
    const Answer<void> answer;
    registry_->EnrolModule(name, key, [] { return Result<void>(); }, kCaller, answer);
    return Await(answer);
  }
  Result<void> EnrolPeer(const std::string& name, const PublicKey& key) {
    const Answer<void> answer;
    registry_->EnrolPeer(name, key, [] { return Result<void>(); }, kCaller, answer);
    return Await(answer);
  }
  Result<void> RemoveModule(const std::string& name) {
    const Answer<void> answer;
    registry_->RemoveModule(name, kCaller, answer);
    return Await(answer);
  }

  static policy::Policy ThePolicy() {
    const policy::Principals members{.uids = {kCaller}, .gids = {}};
    const std::set<Purpose> aico{Purpose::kAico};
    return policy::Policy(
        {.admins = {},
         .hsm = {},
         .tpm = {},
         .modules = {{.name = "a",
                      .members = members,
                      .keys = {{"a-id", aico}, {"b-id", aico}, {"web", {Purpose::kTls13Server}}},
                      .peers = {"c"},
                      .limits = {}},
                     {.name = "b",
                      .members = members,
                      .keys = {{"b-id", aico},
                               {"web", {Purpose::kTls13Server, Purpose::kTls13Client}}},
                      .peers = {"c", "d"},
                      .limits = {}}},
         .rotation = {},
         .key_rotation = {}});
  }
  static Bytes CertificateVerify(const std::string& role) {
    std::string text = std::string(64, ' ') + "TLS 1.3, " + role + " CertificateVerify";
    text.push_back('\0');
    return ToBytes(AsBytes(text + std::string(32, 'h')));
  }

  Answer<Bytes> StartSigning(const std::string& role) {
    Answer<Bytes> answer;
    service_->Sign(caller_, "web", "tls13-" + role, CertificateVerify(role), answer);
    return answer;
  }
  Result<Bytes> Sign(const std::string& role) { return Await(StartSigning(role)); }
  // Until the custodian has done what it was asked before; what it posted is not run yet.
  void AwaitHardware() {
    std::promise<void> begun;
    ASSERT_OK(pool().Submit(kCaller, [&begun](const Result<Custodian*>&) -> Result<void> {
      begun.set_value();
      return {};
    }));
    begun.get_future().wait();
  }
  audit::Record Last() const { return testing_support::RecordsOf(disk_.Contents()).back(); }
  Result<OpenedSession> OpenSession(const std::string& key, const std::string& peer) {
    return service_->OpenSession(
        caller_,
        {.key = key, .protocol = "aico", .role = "initiator", .peer = peer, .timeout = {}});
  }
  // The module that a session belongs to.
  Result<std::string> Open(const std::string& key, const std::string& peer) {
    KEYWARD_ASSIGN(const OpenedSession opened, OpenSession(key, peer));
    return opened.session->info().module;
  }
  void EnrolBoth() {
    for (const std::string name : {"a", "b"}) ASSERT_OK(EnrolModule(name, name + "-id"));
  }

  std::function<Result<void>()> confirm_with_ = [] { return Result<void>(); };  // the counter
  testing_support::FaultyDisk disk_;                                            // of the audit log
  const policy::Caller caller_{.uid = kCaller, .gids = {}};
  SessionTable sessions_;
  SessionTokens tokens_{sessions_, clock_};
  Registry* registry_ = nullptr;
  std::unique_ptr<ChannelServer> channels_;
  std::optional<Daemon> daemon_;
  std::optional<Service> service_;
};

}  // namespace keyward
