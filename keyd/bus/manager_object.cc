#include "keyd/bus/manager_object.h"

#include <algorithm>
#include <utility>

#include "core/secret_memory.h"
#include "keyd/bus/bus_error.h"
#include "keyd/bus/session_object.h"
#include "keyd/version.h"

namespace keyward::bus {
namespace {

Result<std::optional<uint32_t>> TimeoutOption(const Options& options) {
  std::optional<uint32_t> timeout;
  for (const auto& [name, value] : options.values) {
    if (name != "timeout") {
      return Fail(ErrorCode::kInvalidArgument, "the only option is 'timeout', in seconds (u)");
    }
    timeout = value;
  }
  return timeout;
}

uint64_t UnixSeconds(WallTime time) {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch());
  return static_cast<uint64_t>(since.count());
}

// The state of the newest version says what the key is good for.
std::string StateOf(const Key& key) { return std::string(Name(key.versions.back()->state())); }

}  // namespace

ManagerObject::ManagerObject(Context& context, SessionOpened session_opened)
    : AdaptorInterfaces(*context.connection, ObjectPath(kRootPath)),
      context_(context),
      session_opened_(std::move(session_opened)) {
  registerAdaptor();
}

ManagerObject::~ManagerObject() { unregisterAdaptor(); }

void ManagerObject::OpenSession(sdbus::Result<sdbus::ObjectPath, sdbus::UnixFd>&& result,
                                std::string key, std::string protocol, std::string role,
                                std::string peer, Options options) {
  const policy::Caller caller = context_.callers.Current(getObject());
  const SessionRequest request{std::move(key), std::move(protocol), std::move(role),
                               std::move(peer), Unwrap(TimeoutOption(options))};
  OpenedSession opened = Unwrap(context_.service.OpenSession(caller, request));
  session_opened_(opened.session);
  result.returnResults(sdbus::ObjectPath(SessionObjectPath(opened.session->info().id)),
                       sdbus::UnixFd(opened.channel.Release(), sdbus::adopt_fd));
}

std::tuple<sdbus::ObjectPath, sdbus::UnixFd> ManagerObject::OpenKey(const std::string& key) {
  const policy::Caller caller = context_.callers.Current(getObject());
  UniqueFd channel = Unwrap(context_.service.OpenKey(caller, key));
  return {sdbus::ObjectPath(KeyObjectPath(key)), sdbus::UnixFd(channel.Release(), sdbus::adopt_fd)};
}

std::vector<
    sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
ManagerObject::ListKeys() {
  const policy::Caller caller = context_.callers.Current(getObject());
  std::vector<
      sdbus::Struct<std::string, std::string, std::string, std::string, std::string, uint32_t>>
      keys;
  for (const Key* key : Unwrap(context_.service.ListKeys(caller))) {
    keys.emplace_back(key->record.name, std::string(Name(key->record.algorithm)),
                      std::string(Name(key->record.custody)), key->record.custodian, StateOf(*key),
                      static_cast<uint32_t>(key->versions.size()));
  }
  return keys;
}

std::string ManagerObject::Version() { return kVersionText; }

std::string ManagerObject::Health() {
  if (context_.daemon.vault == nullptr) return "sealed";
  const auto in_trouble = [](const auto& pool) {
    return pool.second->Status().trouble() != nullptr;
  };
  const audit::Log* log = context_.daemon.audit.log();
  const bool degraded =
      std::ranges::any_of(context_.daemon.pools, in_trouble) || (log != nullptr && log->full());
  return degraded ? "degraded" : "ok";
}

std::vector<sdbus::Struct<std::string, std::string, std::string, std::string, uint64_t, uint32_t>>
ManagerObject::Custodians() {
  std::vector<sdbus::Struct<std::string, std::string, std::string, std::string, uint64_t, uint32_t>>
      custodians;
  for (const auto& [name, pool] : context_.daemon.pools) {
    const CustodianStatus status = pool->Status();
    const Error* trouble = status.trouble();
    custodians.emplace_back(
        name, status.description, trouble == nullptr ? "ok" : std::string(Name(trouble->code())),
        trouble == nullptr ? "" : trouble->message(), UnixSeconds(status.since), status.resets);
  }
  return custodians;
}

sdbus::Struct<uint64_t, bool> ManagerObject::Store() {
  Vault* const vault = context_.daemon.vault.get();
  if (vault == nullptr) return {0, false};
  return {vault->epoch(), !vault->journal().owed()};
}

sdbus::Struct<std::string, uint64_t> ManagerObject::Backup() {
  const Result<std::optional<backup::LatestBackup>> latest = context_.backups.Latest();
  if (!latest) return {std::string(Name(latest.error().code())), 0};
  if (!*latest) return {std::string("none"), 0};
  return {std::string("made"), UnixSeconds((*latest)->created)};
}

sdbus::Struct<std::string, std::string> ManagerObject::Seal() {
  if (context_.daemon.vault != nullptr) return {std::string(), std::string()};
  const Error& reason = context_.daemon.sealed_because;
  return {std::string(Name(reason.code())), reason.message()};
}

sdbus::Struct<std::string, std::string, std::string, std::string, uint64_t, std::vector<uint32_t>>
ManagerObject::Boot() {
  const keyward::Boot& boot = context_.daemon.boot;
  const BootName name = boot.Name();
  const PcrSelection pcrs = boot.pcrs().value_or(PcrSelection());
  return {std::string(Name(boot.state())),
          boot.Detail(),
          name.id,
          name.quote,
          UnixSeconds(boot.quoted()),
          std::vector<uint32_t>(pcrs.begin(), pcrs.end())};
}

std::string ManagerObject::SecretMemory() {
  return GetSecretMemoryUse().kind == SecretMemoryKind::kMemfdSecret ? "memfd_secret"
                                                                     : "locked pages";
}

sdbus::Struct<std::string, uint64_t, uint64_t, uint64_t> ManagerObject::Audit() {
  const AuditTrail& trail = context_.daemon.audit;
  const audit::Log* log = trail.log();
  if (log == nullptr) return {std::string("closed"), uint64_t{0}, uint64_t{0}, trail.unrecorded()};
  return {std::string(log->full() ? "full" : "ok"), log->head().seq, log->signed_through(),
          trail.unrecorded()};
}

uint32_t ManagerObject::SessionCount() {
  return static_cast<uint32_t>(context_.daemon.sessions.size());
}

uint64_t ManagerObject::Uptime() {
  const auto up = context_.daemon.clock.Monotonic() - context_.started;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(up).count());
}

}  // namespace keyward::bus
