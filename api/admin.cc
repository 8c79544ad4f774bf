#include "api/admin.h"

#include <algorithm>

#include "api/bus_connection.h"
#include "api/bus_values.h"
#include "dbus/memfd.h"

namespace keyward {
namespace {

// A key made by slow hardware outlasts the usual time of a call.
constexpr std::chrono::milliseconds kGenerationTimeout = std::chrono::minutes(3);

std::optional<WallTime> TimeFromBus(uint64_t seconds) {
  if (seconds == 0) return std::nullopt;
  return WallTime(std::chrono::seconds(seconds));
}

VersionSummary VersionFromBus(const sdbus::Struct<uint32_t, std::string, Bytes, uint64_t, uint64_t,
                                                  uint64_t, uint64_t>& row) {
  return {.number = row.get<0>(),
          .state = row.get<1>(),
          .spki = row.get<2>(),
          .created = WallTime(std::chrono::seconds(row.get<3>())),
          .activated = TimeFromBus(row.get<4>()),
          .retire_at = TimeFromBus(row.get<5>()),
          .uses = row.get<6>()};
}

// The PublicKey property fails for a key without an active version, which is to be shown as well.
Bytes ActiveSpki(const std::vector<VersionSummary>& versions) {
  const auto active = std::ranges::find(versions, "active", &VersionSummary::state);
  return active == versions.end() ? Bytes() : active->spki;
}

KeyDetails DetailsFromBus(KeyProxy& key) {
  KeyDetails details{.name = key.Name(),
                     .algorithm = key.Algorithm(),
                     .custody = key.Custody(),
                     .custodian = key.Custodian(),
                     .spki = {},
                     .versions = {}};
  for (const auto& row : key.Versions()) details.versions.push_back(VersionFromBus(row));
  details.spki = ActiveSpki(details.versions);
  return details;
}

ServiceStatus StatusFromBus(ManagerProxy& keyd) {
  ServiceStatus status{.version = keyd.Version(),
                       .health = keyd.Health(),
                       .seal_code = {},
                       .seal_reason = {},
                       .secret_memory = keyd.SecretMemory(),
                       .custodians = {},
                       .audit = {},
                       .sessions = keyd.SessionCount(),
                       .uptime = std::chrono::seconds(keyd.Uptime()),
                       .boot = BootFromBus(keyd)};
  const auto seal = keyd.Seal();
  const auto audit = keyd.Audit();
  status.audit = {audit.get<0>(), audit.get<1>(), audit.get<2>(), audit.get<3>()};
  status.seal_code = seal.get<0>();
  status.seal_reason = seal.get<1>();
  for (const auto& row : keyd.Custodians()) {
    status.custodians.push_back({row.get<0>(), row.get<1>(), row.get<2>(), row.get<3>(),
                                 WallTime(std::chrono::seconds(row.get<4>())), row.get<5>()});
  }
  const auto store = keyd.Store();
  status.epoch = store.get<0>();
  status.epoch_confirmed = store.get<1>();
  const auto backup = keyd.Backup();
  status.backup = {backup.get<0>(), WallTime(std::chrono::seconds(backup.get<1>()))};
  return status;
}

std::vector<ModuleSummary> ModulesFromBus(AdminProxy& keyd) {
  std::vector<ModuleSummary> modules;
  for (const auto& row : keyd.ListModules()) {
    modules.push_back(
        {row.get<0>(), row.get<1>(), row.get<2>(), row.get<3>(), row.get<4>(), row.get<5>()});
  }
  return modules;
}

std::vector<SessionSummary> SessionsFromBus(AdminProxy& keyd) {
  std::vector<SessionSummary> sessions;
  for (const auto& row : keyd.ListSessions()) {
    sessions.push_back({.id = row.get<0>(),
                        .module = row.get<1>(),
                        .key = row.get<2>(),
                        .key_version = row.get<3>(),
                        .peer = row.get<4>(),
                        .protocol = row.get<5>(),
                        .role = row.get<6>(),
                        .state = row.get<7>(),
                        .expires_in = std::chrono::seconds(row.get<8>()),
                        .sealed = row.get<9>(),
                        .opened = row.get<10>()});
  }
  return sessions;
}

template <class Answer>
Result<Quote> QuoteFromBus(const Answer& answer) {
  const auto& [message, signature, values, key] = answer;
  KEYWARD_ASSIGN(PublicKey signed_by, PublicKey::FromSpki(key));
  KEYWARD_ASSIGN(PcrValues pcrs, PcrValuesFromBus(values));
  return Quote{message, signature, std::move(pcrs), std::move(signed_by)};
}

template <class Answer>
Result<PcrSummary> PcrsFromBus(const Answer& answer) {
  const auto& [authority, values, policies] = answer;
  PcrSummary summary{.authority = authority, .values = {}, .policies = {}};
  KEYWARD_ASSIGN(summary.values, PcrValuesFromBus(values));
  for (const auto& row : policies) {
    summary.policies.push_back(
        {PcrsFromBits(row.template get<0>()).value_or(PcrSelection()), row.template get<1>()});
  }
  return summary;
}

constexpr size_t kMaxBackup = size_t{16} * 1024 * 1024;

template <class Answer>
Result<CreatedBackup> BackupFromBus(const Answer& answer) {
  const auto& [file, id, held, left_out] = answer;
  CreatedBackup backup;
  backup.id = id;
  KEYWARD_ASSIGN(backup.der, ReadWholeMemfd(file.get(), kMaxBackup));
  for (const auto& row : held) {
    backup.held.push_back({row.template get<0>(), row.template get<1>(), {}, {}});
  }
  for (const auto& row : left_out) {
    backup.left_out.push_back({row.template get<0>(), row.template get<1>(), row.template get<2>(),
                               row.template get<3>()});
  }
  return backup;
}

template <class Answer>
BackupCheck BackupCheckFromBus(const Answer& answer) {
  const auto& [own, latest, created, custodians] = answer;
  BackupCheck check{.own = own,
                    .latest = latest,
                    .latest_created = WallTime(std::chrono::milliseconds(created)),
                    .custodians = {}};
  for (const auto& row : custodians) {
    check.custodians.push_back(
        {row.template get<0>(), {}, row.template get<1>(), row.template get<2>(), {}, 0});
  }
  return check;
}

template <class Row>
Result<std::vector<RevocationSummary>> RevocationsFromBus(const std::vector<Row>& rows) {
  std::vector<RevocationSummary> revocations;
  for (const Row& row : rows) {
    KEYWARD_ASSIGN(Revocation revocation, RevocationFromBus(row));
    revocations.push_back({std::move(revocation), row.template get<4>()});
  }
  return revocations;
}

class BusAdminClient final : public AdminClient {
  // First, because its result is deduced.
  template <class Call>
  auto Ask(Call&& call) {
    return bus_->With<AdminProxy>(bus::kRootPath, std::forward<Call>(call));
  }

 public:
  BusAdminClient(std::shared_ptr<BusConnection> bus, Client client)
      : bus_(std::move(bus)), client_(std::move(client)) {}

  Result<ServiceStatus> Status() override {
    return bus_->With<ManagerProxy>(bus::kRootPath, StatusFromBus);
  }

  Result<std::vector<KeySummary>> ListKeys() override { return client_.ListKeys(); }

  Result<KeyDetails> DescribeKey(const std::string& name) override {
    Result<KeyDetails> details = bus_->With<KeyProxy>(bus::KeyObjectPath(name), DetailsFromBus);
    if (!details && details.error().code() == ErrorCode::kNotFound) {
      return Fail(ErrorCode::kNotFound, "there is no such key");
    }
    return details;
  }

  Result<PublicKey> GenerateKey(const KeyRequest& request) override {
    KEYWARD_ASSIGN(const Bytes spki, Ask([&](AdminProxy& keyd) {
                     return keyd.GenerateKey(request.name, request.algorithm, request.custody,
                                             request.custodian);
                   }));
    return PublicKey::FromSpki(spki);
  }

  Result<uint32_t> RotateKey(const std::string& name) override {
    return Ask([&](AdminProxy& keyd) { return keyd.RotateKey(name); });
  }

  Result<uint32_t> RevokeKey(const std::string& name, std::optional<uint32_t> version) override {
    if (version == 0) return Fail(ErrorCode::kInvalidArgument, "versions count from 1");
    return Ask([&](AdminProxy& keyd) { return keyd.RevokeKey(name, version.value_or(0)); });
  }

  Result<uint32_t> PrepareKey(const std::string& name) override {
    return Ask([&](AdminProxy& keyd) { return keyd.PrepareKey(name); });
  }

  Result<uint32_t> ActivateKey(const std::string& name) override {
    return Ask([&](AdminProxy& keyd) { return keyd.ActivateKey(name); });
  }

  Result<void> RetireVersion(const std::string& name, uint32_t version) override {
    return Ask([&](AdminProxy& keyd) { keyd.RetireVersion(name, version); });
  }

  Result<uint32_t> DestroyKey(const std::string& name, std::optional<uint32_t> version) override {
    if (version == 0) return Fail(ErrorCode::kInvalidArgument, "versions count from 1");
    return Ask([&](AdminProxy& keyd) { return keyd.DestroyKey(name, version.value_or(0)); });
  }

  Result<std::vector<ModuleSummary>> ListModules() override { return Ask(ModulesFromBus); }

  Result<void> EnrolModule(const std::string& module, const std::string& key) override {
    return Ask([&](AdminProxy& keyd) { keyd.EnrolModule(module, key); });
  }

  Result<void> EnrolPeer(const std::string& peer, const PublicKey& key) override {
    return Ask([&](AdminProxy& keyd) { keyd.EnrolPeer(peer, key.spki()); });
  }

  Result<uint32_t> RemoveModule(const std::string& module) override {
    return Ask([&](AdminProxy& keyd) { return keyd.RemoveModule(module); });
  }

  Result<uint32_t> RemovePeer(const std::string& peer) override {
    return Ask([&](AdminProxy& keyd) { return keyd.RemovePeer(peer); });
  }

  Result<uint32_t> RevokeModule(const std::string& name) override {
    return Ask([&](AdminProxy& keyd) { return keyd.RevokeModule(name); });
  }

  Result<std::vector<RevocationSummary>> ListRevocations() override {
    KEYWARD_ASSIGN(const auto rows, Ask([](AdminProxy& keyd) { return keyd.ListRevocations(); }));
    return RevocationsFromBus(rows);
  }

  Result<ExportedRevocations> ExportRevocations() override {
    KEYWARD_ASSIGN(const auto answer,
                   Ask([](AdminProxy& keyd) { return keyd.ExportRevocations(); }));
    const auto& [list, spki] = answer;
    KEYWARD_ASSIGN(PublicKey signer, PublicKey::FromSpki(spki));
    return ExportedRevocations{list, std::move(signer)};
  }

  Result<ImportedRevocations> ImportRevocations(std::string_view list,
                                                const PublicKey& signer) override {
    return Ask([&](AdminProxy& keyd) {
      const auto answer = keyd.ImportRevocations(std::string(list), signer.spki());
      return ImportedRevocations{std::get<0>(answer), std::get<1>(answer)};
    });
  }

  Result<std::vector<SessionSummary>> ListSessions() override { return Ask(SessionsFromBus); }

  Result<uint32_t> EndSession(const std::string& id) override {
    if (id.empty()) return Fail(ErrorCode::kInvalidArgument, "name the session that is to end");
    return End(id, "");
  }

  Result<uint32_t> EndSessionsOf(const std::string& module) override {
    if (module.empty())
      return Fail(ErrorCode::kInvalidArgument, "name the module whose sessions are to end");
    return End("", module);
  }

  Result<uint32_t> EndAllSessions() override { return End("", ""); }

  Result<uint32_t> Seal() override {
    return Ask([&](AdminProxy& keyd) { return keyd.Seal(); });
  }

  Result<uint32_t> ZeroizeAll() override {
    return Ask([&](AdminProxy& keyd) { return keyd.ZeroizeAll(); });
  }

  Result<AuditPart> ReadAudit(uint64_t record) override {
    return Ask([&](AdminProxy& keyd) {
      auto [file, first, size, next] = keyd.ReadAudit(record);
      return AuditPart{UniqueFd(file.release()), first, size, next};
    });
  }
  Result<AuditFollowing> FollowAudit() override {
    return Ask([&](AdminProxy& keyd) {
      auto [lines, first] = keyd.FollowAudit();
      return AuditFollowing{UniqueFd(lines.release()), first};
    });
  }
  Result<void> SignAudit() override {
    return Ask([&](AdminProxy& keyd) { keyd.SignAudit(); });
  }
  Result<void> Unseal() override {
    return Ask([&](AdminProxy& keyd) { keyd.Unseal(); });
  }

  Result<PcrSummary> ShowPcrPolicies(const PcrSelection& also) override {
    KEYWARD_ASSIGN(const auto answer,
                   Ask([&](AdminProxy& keyd) { return keyd.ShowPcrPolicies(ToBits(also)); }));
    return PcrsFromBus(answer);
  }

  Result<void> AddPcrPolicy(const SignedPcrPolicy& policy) override {
    return Ask([&](AdminProxy& keyd) {
      keyd.AddPcrPolicy(ToBits(policy.pcrs), ToBytes(policy.digest), policy.signature);
    });
  }

  Result<Quote> Attest(const Bytes& nonce) override {
    KEYWARD_ASSIGN(const auto answer, Ask([&](AdminProxy& keyd) { return keyd.Attest(nonce); }));
    return QuoteFromBus(answer);
  }

  Result<CreatedBackup> CreateBackup(const std::string& certificates) override {
    KEYWARD_ASSIGN(const auto answer, Ask([&](AdminProxy& keyd) {
                     return keyd.CreateBackup(ToBytes(AsBytes(certificates)));
                   }));
    return BackupFromBus(answer);
  }

  Result<BackupCheck> CheckBackup(const Bytes& digest, const Bytes& origin) override {
    return Ask(
        [&](AdminProxy& keyd) { return BackupCheckFromBus(keyd.CheckBackup(digest, origin)); });
  }

  Result<void> MakeSecondSeal(const std::string& place, const Bytes& material) override {
    return Ask([&](AdminProxy& keyd) { keyd.MakeSecondSeal(place, material); });
  }
  Result<SealsSummary> ShowSeals() override {
    return Ask([](AdminProxy& keyd) {
      const auto [custodian, second, holder, made, former] = keyd.ShowSeals();
      return SealsSummary{custodian, second, holder, WallTime(std::chrono::seconds(made)), former};
    });
  }
  Result<void> ForgetSecondSeal(bool lost) override {
    return Ask([&](AdminProxy& keyd) { keyd.ForgetSecondSeal(lost); });
  }

  Result<void> ReloadPolicy() override {
    return Ask([](AdminProxy& keyd) { keyd.ReloadPolicy(); });
  }

 private:
  Result<uint32_t> End(const std::string& session, const std::string& module) {
    return Ask([&](AdminProxy& keyd) { return keyd.EndSessions(session, module); });
  }

  std::shared_ptr<BusConnection> bus_;
  Client client_;
};

}  // namespace

Result<std::unique_ptr<AdminClient>> AdminClient::Connect(const ConnectOptions& options) {
  ConnectOptions patient = options;
  patient.timeout = std::max(options.timeout, kGenerationTimeout);
  KEYWARD_ASSIGN(std::shared_ptr<BusConnection> bus, BusConnection::Open(patient));
  KEYWARD_ASSIGN(Client client, Client::Connect(options));
  return std::make_unique<BusAdminClient>(std::move(bus), std::move(client));
}

}  // namespace keyward
