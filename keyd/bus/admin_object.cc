#include "keyd/bus/admin_object.h"

#include <charconv>
#include <utility>

#include "keyd/bus/reply.h"
#include "keyd/bus/session_object.h"

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
  if (!custody) return Fail(ErrorCode::kInvalidArgument, "custody is 'hardware' or 'sealed'");
  return KeyRecord{std::move(name), *algorithm, *custody, std::move(custodian), 1};
}

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
    throw ToBusError(Error(ErrorCode::kPermissionDenied,
                           "only the admins that security.yaml names may do this"));
  }
  return caller;
}

void AdminObject::GenerateKey(sdbus::Result<std::vector<uint8_t>>&& result, std::string name,
                              std::string algorithm, std::string custody, std::string custodian) {
  const policy::Caller caller = Admin();
  KeyRecord key = Unwrap(ParseKey(std::move(name), algorithm, custody, std::move(custodian)));
  const Reply<std::vector<uint8_t>> reply(context_.connection, std::move(result));
  context_.admin.GenerateKey(
      std::move(key), caller.uid,
      [reply, changed = keys_changed_](const Result<std::shared_ptr<KeyVersion>>& version) {
        if (!version) return reply.SendError(version.error());
        changed();
        reply.Send((*version)->public_key().spki());
      });
}

void AdminObject::RotateKey(sdbus::Result<uint32_t>&& result, std::string name) {
  const policy::Caller caller = Admin();
  const Reply<uint32_t> reply(context_.connection, std::move(result));
  context_.admin.RotateKey(name, caller.uid,
                           [reply](const Result<std::shared_ptr<KeyVersion>>& version) {
                             if (!version) return reply.SendError(version.error());
                             reply.Send((*version)->number());
                           });
}

uint32_t AdminObject::RevokeKey(const std::string& name, const uint32_t& version) {
  static_cast<void>(Admin());
  return Unwrap(context_.admin.RevokeKey(name, version));
}

void AdminObject::DestroyKey(sdbus::Result<uint32_t>&& result, std::string name) {
  const policy::Caller caller = Admin();
  const Reply<uint32_t> reply(context_.connection, std::move(result));
  context_.admin.DestroyKey(name, caller.uid,
                            [reply, changed = keys_changed_](const Result<uint32_t>& ended) {
                              if (!ended) return reply.SendError(ended.error());
                              changed();
                              reply.Send(*ended);
                            });
}

void AdminObject::EnrolModule(const std::string& module, const std::string& key) {
  static_cast<void>(Admin());
  Unwrap(context_.admin.EnrolModule(module, key));
}

uint32_t AdminObject::RemoveModule(const std::string& module) {
  static_cast<void>(Admin());
  return Unwrap(context_.admin.RemoveModule(module));
}

void AdminObject::EnrolPeer(const std::string& peer, const ByteArray& public_key) {
  static_cast<void>(Admin());
  Unwrap(context_.admin.EnrolPeer(peer, public_key.bytes));
}

uint32_t AdminObject::RemovePeer(const std::string& peer) {
  static_cast<void>(Admin());
  return Unwrap(context_.admin.RemovePeer(peer));
}

std::vector<
    sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
AdminObject::ListModules() {
  static_cast<void>(Admin());
  std::vector<
      sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
      modules;
  for (const ModuleStatus& module : context_.admin.ListModules()) {
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
  static_cast<void>(Admin());
  return Unwrap(context_.admin.EndSessions(Unwrap(ParseSession(session)), module));
}

void AdminObject::ReloadPolicy() {
  static_cast<void>(Admin());
  Unwrap(context_.admin.ReloadPolicy());
}

}  // namespace keyward::bus
