#include "keyd/bus/admin_object.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "dbus/memfd.h"
#include "keyd/audit_events.h"
#include "keyd/bus/reply.h"
#include "keyd/bus/session_object.h"
#include "keyd/revocation_exchange.h"

namespace keyward::bus {
namespace {

Result<KeyRecord> ParseKey(std::string name, std::string_view algorithm_name,
                           std::string_view custody_name, std::string custodian) {
  const std::optional<Algorithm> algorithm = AlgorithmFromName(algorithm_name);
  if (!algorithm) {
    return Fail(ErrorCode::kInvalidArgument,
                "the algorithm is ed25519, ecdsa-p256, ecdsa-p384 or rsa-pss-2048");
  }
  const std::optional<Custody> custody = CustodyFromName(custody_name);
  if (!custody) {
    return Fail(ErrorCode::kInvalidArgument, "custody is 'hardware', 'sealed' or 'derived'");
  }
  return KeyRecord{std::move(name), *algorithm, *custody, std::move(custodian), 1};
}

// What changes something that is stored, or signs with it: a sealed service refuses it before
// anybody else would tell.
constexpr std::array<std::string_view, 16> kNeedWhatIsStored = {
    "GenerateKey",   "RotateKey", "PrepareKey",        "ActivateKey",
    "RetireVersion", "RevokeKey", "DestroyKey",        "EnrolModule",
    "RemoveModule",  "EnrolPeer", "RemovePeer",        "RevokeModule",
    "EndSessions",   "SignAudit", "ImportRevocations", "ExportRevocations"};

// The number in /org/keyward/Keyd1/session/N; nothing for "".
Result<std::optional<uint64_t>> ParseSession(std::string_view path) {
  if (path.empty()) return std::nullopt;
  const std::string prefix = std::string(kRootPath) + "/session/";
  uint64_t id = 0;
  if (path.starts_with(prefix)) {
    path.remove_prefix(prefix.size());
    const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), id);
    if (error == std::errc() && end == path.data() + path.size()) return id;
  }
  return Fail(ErrorCode::kNotFound, "there is no such session");
}

std::vector<sdbus::Struct<uint32_t, std::vector<uint8_t>>> ToRows(const PcrValues& values) {
  std::vector<sdbus::Struct<uint32_t, std::vector<uint8_t>>> rows;
  for (const auto& [pcr, value] : values) rows.emplace_back(pcr, ToBytes(value));
  return rows;
}

}  // namespace

AdminObject::AdminObject(Context& context, std::function<void()> keys_changed)
    : AdaptorInterfaces(*context.connection, ObjectPath(kRootPath)),
      context_(context),
      keys_changed_(std::move(keys_changed)) {
  registerAdaptor();
}

AdminObject::~AdminObject() { unregisterAdaptor(); }

policy::Caller AdminObject::Admin() {
  policy::Caller caller = context_.callers.Current(getObject());
  if (!context_.daemon.policy->IsAdmin(caller)) {
    const Error why(ErrorCode::kPermissionDenied,
                    "only the admins that security.yaml names may do this");
    context_.daemon.audit.RecordRefusal(
        MakeEvent(audit::EventKind::kCallRefused, caller.uid, CurrentMember(getObject())), why);
    throw ToBusError(why);
  }
  if (const Result<Vault*> vault = context_.daemon.Unsealed(); !vault) {
    const std::string member = CurrentMember(getObject());
    if (std::ranges::find(kNeedWhatIsStored, member) != kNeedWhatIsStored.end()) {
      context_.daemon.audit.RecordRefusal(
          MakeEvent(audit::EventKind::kCallRefused, caller.uid, member), vault.error());
    }
  }
  return caller;
}

void AdminObject::GenerateKey(sdbus::Result<std::vector<uint8_t>>&& result, std::string name,
                              std::string algorithm, std::string custody, std::string custodian) {
  const policy::Caller caller = Admin();
  const KeyRecord key = Unwrap(ParseKey(std::move(name), algorithm, custody, std::move(custodian)));
  const Reply<std::vector<uint8_t>> reply(context_.connection, std::move(result));
  context_.admin.GenerateKey(
      key, caller.uid,
      [reply, changed = keys_changed_](const Result<std::shared_ptr<KeyVersion>>& version) {
        changed();  // it may be there although the hardware has not confirmed it
        if (!version) return reply.SendError(version.error());
        reply.Send((*version)->public_key().spki());
      });
}

KeyRing::VersionDone AdminObject::TellVersion(sdbus::Result<uint32_t>&& result) {
  const Reply<uint32_t> reply(context_.connection, std::move(result));
  return [reply](const Result<std::shared_ptr<KeyVersion>>& version) {
    if (!version) return reply.SendError(version.error());
    reply.Send((*version)->number());
  };
}

void AdminObject::RotateKey(sdbus::Result<uint32_t>&& result, std::string name) {
  const policy::Caller caller = Admin();
  context_.admin.RotateKey(name, caller.uid, TellVersion(std::move(result)));
}

void AdminObject::PrepareKey(sdbus::Result<uint32_t>&& result, std::string name) {
  const policy::Caller caller = Admin();
  context_.admin.PrepareKey(name, caller.uid, TellVersion(std::move(result)));
}

void AdminObject::ActivateKey(sdbus::Result<uint32_t>&& result, std::string name) {
  const policy::Caller caller = Admin();
  context_.admin.ActivateKey(name, caller.uid, TellVersion(std::move(result)));
}

void AdminObject::RetireVersion(sdbus::Result<>&& result, std::string name, uint32_t version) {
  const policy::Caller caller = Admin();
  context_.admin.RetireVersion(name, version, caller.uid, TellDone(std::move(result)));
}

void AdminObject::RevokeKey(sdbus::Result<uint32_t>&& result, std::string name, uint32_t version) {
  const policy::Caller caller = Admin();
  context_.admin.RevokeKey(name, version, caller.uid, TellEnded(std::move(result)));
}

void AdminObject::DestroyKey(sdbus::Result<uint32_t>&& result, std::string name, uint32_t version) {
  const policy::Caller caller = Admin();
  context_.admin.DestroyKey(
      name, version, caller.uid,
      [tell = TellEnded(std::move(result)), changed = keys_changed_](Result<uint32_t> ended) {
        changed();
        tell(std::move(ended));
      });
}

AdminService::Ended AdminObject::TellEnded(sdbus::Result<uint32_t>&& result) {
  const Reply<uint32_t> reply(context_.connection, std::move(result));
  return [reply](const Result<uint32_t>& ended) {
    if (!ended) return reply.SendError(ended.error());
    reply.Send(*ended);
  };
}

AdminService::Done AdminObject::TellDone(sdbus::Result<>&& result) {
  const Reply<> reply(context_.connection, std::move(result));
  return [reply](const Result<void>& done) {
    if (!done) return reply.SendError(done.error());
    reply.Send();
  };
}

void AdminObject::EnrolModule(sdbus::Result<>&& result, std::string module, std::string key) {
  const policy::Caller caller = Admin();
  context_.admin.EnrolModule(module, key, caller.uid, TellDone(std::move(result)));
}

void AdminObject::RemoveModule(sdbus::Result<uint32_t>&& result, std::string module) {
  const policy::Caller caller = Admin();
  context_.admin.RemoveModule(module, caller.uid, TellEnded(std::move(result)));
}

void AdminObject::EnrolPeer(sdbus::Result<>&& result, std::string peer, ByteArray public_key) {
  const policy::Caller caller = Admin();
  context_.admin.EnrolPeer(peer, public_key.bytes, caller.uid, TellDone(std::move(result)));
}

void AdminObject::RemovePeer(sdbus::Result<uint32_t>&& result, std::string peer) {
  const policy::Caller caller = Admin();
  context_.admin.RemovePeer(peer, caller.uid, TellEnded(std::move(result)));
}

void AdminObject::RevokeModule(sdbus::Result<uint32_t>&& result, std::string name) {
  const policy::Caller caller = Admin();
  context_.admin.RevokeModule(name, caller.uid, TellEnded(std::move(result)));
}

std::vector<
    sdbus::Struct<std::vector<uint8_t>, std::string, uint32_t, uint64_t, std::vector<uint8_t>>>
AdminObject::ListRevocations() {
  static_cast<void>(Admin());
  std::vector<
      sdbus::Struct<std::vector<uint8_t>, std::string, uint32_t, uint64_t, std::vector<uint8_t>>>
      rows;
  const RevocationExchange exchange(context_.daemon, context_.admin);
  for (const RevocationRecord& record : Unwrap(exchange.List())) {
    const Revocation& revocation = record.revocation;
    rows.emplace_back(ToBytes(revocation.fingerprint), revocation.name, revocation.version,
                      static_cast<uint64_t>(revocation.at.time_since_epoch().count()),
                      record.issuer);
  }
  return rows;
}

void AdminObject::ExportRevocations(sdbus::Result<std::string, std::vector<uint8_t>>&& result) {
  const policy::Caller caller = Admin();
  const Reply<std::string, std::vector<uint8_t>> reply(context_.connection, std::move(result));
  RevocationExchange(context_.daemon, context_.admin)
      .Export(caller.uid, [reply](const Result<RevocationExchange::Exported>& exported) {
        if (!exported) return reply.SendError(exported.error());
        reply.Send(exported->list, exported->signer.spki());
      });
}

void AdminObject::ImportRevocations(sdbus::Result<uint32_t, uint32_t>&& result, std::string list,
                                    ByteArray signer) {
  const policy::Caller caller = Admin();
  const PublicKey key = Unwrap(PublicKey::FromSpki(signer.bytes));
  const Reply<uint32_t, uint32_t> reply(context_.connection, std::move(result));
  RevocationExchange(context_.daemon, context_.admin)
      .Import(list, key, caller.uid, [reply](const Result<RevocationExchange::Imported>& imported) {
        if (!imported) return reply.SendError(imported.error());
        reply.Send(imported->added, imported->sessions_ended);
      });
}

std::vector<
    sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
AdminObject::ListModules() {
  static_cast<void>(Admin());
  std::vector<
      sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
      modules;
  for (const ModuleStatus& module : Unwrap(context_.admin.ListModules())) {
    modules.emplace_back(module.name, std::string(module.is_remote_peer ? "peer" : "module"),
                         module.key, module.fingerprint, module.state, module.sessions);
  }
  return modules;
}

std::vector<sdbus::Struct<sdbus::ObjectPath, std::string, std::string, uint32_t, std::string,
                          std::string, std::string, std::string, uint64_t, uint64_t, uint64_t>>
AdminObject::ListSessions() {
  static_cast<void>(Admin());
  std::vector<sdbus::Struct<sdbus::ObjectPath, std::string, std::string, uint32_t, std::string,
                            std::string, std::string, std::string, uint64_t, uint64_t, uint64_t>>
      sessions;
  for (const std::shared_ptr<LiveSession>& session : context_.admin.ListSessions()) {
    const SessionInfo& info = session->info();
    const SessionCounters counters = session->counters();
    sessions.emplace_back(sdbus::ObjectPath(SessionObjectPath(info.id)), info.module,
                          info.key->key().name, info.key->number(), info.peer, info.protocol,
                          RoleName(info.role), std::string(Name(session->state())),
                          SecondsLeft(*session, context_.daemon.clock), counters.sealed,
                          counters.opened);
  }
  return sessions;
}

uint32_t AdminObject::EndSessions(const std::string& session, const std::string& module) {
  const policy::Caller caller = Admin();
  return Unwrap(context_.admin.EndSessions(Unwrap(ParseSession(session)), module, caller.uid));
}

void AdminObject::ReloadPolicy() {
  const policy::Caller caller = Admin();
  Unwrap(context_.admin.ReloadPolicy(caller.uid));
}

uint32_t AdminObject::Seal() {
  const policy::Caller caller = Admin();
  return Unwrap(context_.admin.Seal(caller.uid));
}

void AdminObject::ZeroizeAll(sdbus::Result<uint32_t>&& result) {
  const policy::Caller caller = Admin();
  context_.admin.ZeroizeAll(caller.uid, TellEnded(std::move(result)));
}

void AdminObject::Unseal(sdbus::Result<>&& result) {
  const policy::Caller caller = Admin();
  context_.admin.Unseal(caller.uid, TellDone(std::move(result)));
}

void AdminObject::MakeSecondSeal(sdbus::Result<>&& result, std::string place, ByteArray material) {
  const policy::Caller caller = Admin();
  context_.second_seal.Make({std::move(place), std::move(material.bytes)}, caller.uid,
                            TellDone(std::move(result)));
}

std::tuple<std::string, std::string, std::vector<uint8_t>, uint64_t, std::string>
AdminObject::ShowSeals() {
  static_cast<void>(Admin());
  Seals seals = Unwrap(context_.second_seal.Show());
  if (!seals.second) return {seals.custodian, {}, {}, 0, seals.former};
  const auto made = std::chrono::floor<std::chrono::seconds>(seals.second->made);
  return {seals.custodian, seals.second->place, seals.second->holder,
          static_cast<uint64_t>(made.time_since_epoch().count()), seals.former};
}

void AdminObject::ForgetSecondSeal(sdbus::Result<>&& result, bool lost) {
  const policy::Caller caller = Admin();
  context_.second_seal.Forget(lost, caller.uid, TellDone(std::move(result)));
}

std::tuple<sdbus::UnixFd, uint64_t, uint64_t, uint64_t> AdminObject::ReadAudit(
    const uint64_t& record) {
  const policy::Caller caller = Admin();
  AuditSegment segment = Unwrap(context_.audit.Read(record, caller.uid));
  return {sdbus::UnixFd(segment.file.Release(), sdbus::adopt_fd), segment.first, segment.size,
          segment.next};
}

std::tuple<sdbus::UnixFd, uint64_t> AdminObject::FollowAudit() {
  const policy::Caller caller = Admin();
  AuditStream stream = Unwrap(context_.audit.Follow(caller.uid));
  return {sdbus::UnixFd(stream.lines.Release(), sdbus::adopt_fd), stream.first};
}

void AdminObject::SignAudit(sdbus::Result<>&& result) {
  const policy::Caller caller = Admin();
  context_.admin.SignAudit(caller.uid, TellDone(std::move(result)));
}

void AdminObject::ShowPcrPolicies(sdbus::Result<std::vector<uint8_t>, PcrRows, PcrRows>&& result,
                                  uint32_t also) {
  static_cast<void>(Admin());
  const PcrSelection selection = also == 0 ? PcrSelection() : Unwrap(PcrsFromBits(also));
  const Reply<std::vector<uint8_t>, PcrRows, PcrRows> reply(context_.connection, std::move(result));
  context_.admin.unsealer().ShowPcrs(selection, [reply](const Result<PcrState>& state) {
    if (!state) return reply.SendError(state.error());
    PcrRows policies;
    for (const SignedPcrPolicy& policy : state->policies) {
      policies.emplace_back(ToBits(policy.pcrs), ToBytes(policy.digest));
    }
    reply.Send(state->authority, ToRows(state->values), policies);
  });
}

void AdminObject::AddPcrPolicy(const uint32_t& pcrs, const ByteArray& digest,
                               const ByteArray& signature) {
  const policy::Caller caller = Admin();
  SignedPcrPolicy policy{Unwrap(PcrsFromBits(pcrs)), {}, signature.bytes};
  if (digest.bytes.size() != policy.digest.size()) {
    throw ToBusError(Error(ErrorCode::kInvalidArgument, "the digest has 32 bytes"));
  }
  std::ranges::copy(digest.bytes, policy.digest.begin());
  Unwrap(context_.admin.AddPcrPolicy(policy, caller.uid));
}

void AdminObject::Attest(sdbus::Result<std::vector<uint8_t>, std::vector<uint8_t>, PcrRows,
                                       std::vector<uint8_t>>&& result,
                         ByteArray nonce) {
  const policy::Caller caller = Admin();
  const Reply<std::vector<uint8_t>, std::vector<uint8_t>, PcrRows, std::vector<uint8_t>> reply(
      context_.connection, std::move(result));
  const auto tell = [reply](const Result<Quote>& quote) {
    if (!quote) return reply.SendError(quote.error());
    reply.Send(quote->message, quote->signature, ToRows(quote->pcrs), quote->signed_by.spki());
  };
  context_.admin.attestation().Attest(std::move(nonce.bytes), caller.uid, tell);
}

void AdminObject::CreateBackup(
    sdbus::Result<sdbus::UnixFd, std::vector<uint8_t>, HeldRows, LeftOutRows>&& result,
    ByteArray certificates) {
  const policy::Caller caller = Admin();
  const Reply<sdbus::UnixFd, std::vector<uint8_t>, HeldRows, LeftOutRows> reply(context_.connection,
                                                                                std::move(result));
  context_.backups.Create(
      certificates.bytes, caller.uid, [reply](const Result<backup::MadeBackup>& made) {
        if (!made) return reply.SendError(made.error());
        Result<UniqueFd> file = WriteMemfd(std::array{ByteView(made->der)});
        if (!file) return reply.SendError(file.error());
        reply.Send(sdbus::UnixFd(file->Release(), sdbus::adopt_fd), ToBytes(made->manifest.id),
                   HeldBy(made->manifest), LeftOutOf(made->manifest));
      });
}

void AdminObject::CheckBackup(
    sdbus::Result<bool, std::vector<uint8_t>, uint64_t, ProofRows>&& result, ByteArray digest,
    ByteArray origin) {
  const policy::Caller caller = Admin();
  const backup::BackupClaim claim{Unwrap(ToDigest(digest.bytes)), Unwrap(ToDigest(origin.bytes))};
  const Reply<bool, std::vector<uint8_t>, uint64_t, ProofRows> reply(context_.connection,
                                                                     std::move(result));
  context_.backups.Check(
      claim, caller.uid, [reply](const Result<backup::BackupStanding>& standing) {
        if (!standing) return reply.SendError(standing.error());
        const auto& latest = standing->latest;
        const auto created = latest ? latest->created.time_since_epoch().count() : 0;
        reply.Send(standing->is_own, latest ? ToBytes(latest->id) : Bytes(),
                   static_cast<uint64_t>(created), ToRows(standing->proofs));
      });
}

}  // namespace keyward::bus
