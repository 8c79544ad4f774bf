#include "keyd/bus/key_object.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "keyd/bus/reply.h"

namespace keyward::bus {
namespace {

uint64_t UnixSeconds(std::optional<WallTime> time) {
  if (!time) return 0;
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch());
  return static_cast<uint64_t>(std::max<int64_t>(since.count(), 0));
}

}  // namespace

KeyObject::KeyObject(Context& context, std::string name)
    : AdaptorInterfaces(*context.connection, ObjectPath(KeyObjectPath(name))),
      context_(context),
      name_(std::move(name)) {
  registerAdaptor();
}

KeyObject::~KeyObject() { unregisterAdaptor(); }

const keyward::Key& KeyObject::key() const { return *context_.daemon.vault->keys().Find(name_); }

const keyward::Key& KeyObject::Shown() {
  const policy::Caller reader = context_.callers.Reader();
  if (!context_.daemon.policy->MaySee(reader, name_)) {
    RefuseReading(context_, reader, {"key", audit::SafeText(name_)},
                  Error(ErrorCode::kPermissionDenied,
                        "only modules that security.yaml grants this key, and admins, may look "
                        "at it"));
  }
  return key();
}

void KeyObject::SignHandshake(sdbus::Result<std::vector<uint8_t>>&& result, std::string purpose,
                              ByteArray payload) {
  const policy::Caller caller = context_.callers.Current(getObject());
  const Reply<std::vector<uint8_t>> reply(context_.connection, std::move(result));
  context_.service.Sign(caller, name_, purpose, std::move(payload.bytes),
                        [reply](const Result<Bytes>& signature) {
                          if (!signature) return reply.SendError(signature.error());
                          reply.Send(*signature);
                        });
}

std::string KeyObject::Name() { return Shown().record.name; }
std::string KeyObject::Algorithm() { return std::string(keyward::Name(Shown().record.algorithm)); }
std::string KeyObject::Custody() { return std::string(keyward::Name(Shown().record.custody)); }
std::string KeyObject::Custodian() { return Shown().record.custodian; }

std::vector<uint8_t> KeyObject::PublicKey() {
  return Unwrap(Shown().active->Get())->public_key().spki();
}

std::vector<sdbus::Struct<uint32_t, std::string, std::vector<uint8_t>, uint64_t, uint64_t, uint64_t,
                          uint64_t>>
KeyObject::Versions() {
  std::vector<sdbus::Struct<uint32_t, std::string, std::vector<uint8_t>, uint64_t, uint64_t,
                            uint64_t, uint64_t>>
      versions;
  for (const std::shared_ptr<KeyVersion>& version : Shown().versions) {
    versions.emplace_back(version->number(), std::string(keyward::Name(version->state())),
                          version->public_key().spki(), UnixSeconds(version->created()),
                          UnixSeconds(version->activated()), UnixSeconds(version->retire_at()),
                          version->uses());
  }
  return versions;
}

}  // namespace keyward::bus
