#include "keyd/bus/session_object.h"

#include <utility>

#include "keyd/bus/reply.h"

namespace keyward::bus {

std::string SessionObjectPath(uint64_t id) {
  return std::string(kRootPath) + "/session/" + std::to_string(id);
}

std::string RoleName(session::Role role) {
  return role == session::Role::kInitiator ? "initiator" : "responder";
}

uint64_t SecondsLeft(const LiveSession& session, const Clock& clock) {
  return static_cast<uint64_t>(session.TimeLeft(clock.Monotonic()).count());
}

SessionObject::SessionObject(Context& context, std::shared_ptr<LiveSession> session)
    : AdaptorInterfaces(*context.connection, ObjectPath(SessionObjectPath(session->info().id))),
      context_(context),
      session_(std::move(session)) {
  registerAdaptor();
}

SessionObject::~SessionObject() { unregisterAdaptor(); }

void SessionObject::CheckCaller() {
  const policy::Caller caller = context_.callers.Current(getObject());
  static_cast<void>(Unwrap(context_.service.FindSession(caller, session_->info().id)));
}

const LiveSession& SessionObject::Shown() {
  const policy::Caller reader = context_.callers.Reader();
  if (reader.uid != session_->info().caller.uid && !context_.daemon.policy->IsAdmin(reader)) {
    RefuseReading(context_, reader, {"session", session_->info().id},
                  Error(ErrorCode::kPermissionDenied,
                        "only the user that opened a session, and admins, may look at it"));
  }
  return *session_;
}

void SessionObject::Step(sdbus::Result<std::vector<uint8_t>, bool>&& result, ByteArray input) {
  CheckCaller();
  const Reply<std::vector<uint8_t>, bool> reply(context_.connection, std::move(result));
  session_->Step(std::move(input.bytes), [reply, session = session_, post = context_.daemon.post](
                                             Result<session::StepResult> step) {
    post([reply, session, step = std::move(step)] {
      if (!step) return reply.SendError(step.error());
      // What was signed before a revocation does not leave after it.
      if (const auto ended = session->ended()) return reply.SendError(*ended);
      reply.Send(step->output, step->established);
    });
  });
}

std::vector<uint8_t> SessionObject::Seal(const ByteArray& plaintext, const std::string& metadata) {
  CheckCaller();
  if (plaintext.bytes.size() > kMaxPlaintext) {
    throw ToBusError(
        Error(ErrorCode::kTooLarge,
              "a plaintext on the bus has at most 64 KiB; seal more over the channel"));
  }
  Bytes frame;
  Unwrap(session_->Seal(plaintext.bytes, metadata, frame));
  return frame;
}

std::tuple<std::vector<uint8_t>, std::string> SessionObject::Open(const ByteArray& frame) {
  CheckCaller();
  Bytes plaintext;
  std::string metadata;
  Unwrap(session_->Open(frame.bytes, plaintext, metadata));
  return {std::move(plaintext), std::move(metadata)};
}

void SessionObject::Rekey() {
  CheckCaller();
  Unwrap(session_->Rekey());
}

void SessionObject::Close() {
  CheckCaller();
  session_->End(Error(ErrorCode::kSessionClosed, "closed by its holder"));
}

std::string SessionObject::Key() { return Shown().info().key->key().name; }
std::string SessionObject::Peer() { return Shown().info().peer; }
std::string SessionObject::Protocol() { return Shown().info().protocol; }
std::string SessionObject::Role() { return RoleName(Shown().info().role); }
sdbus::Struct<std::string, std::string> SessionObject::Boot() {
  const BootName& boot = Shown().info().boot;
  return {boot.id, boot.quote};
}
std::string SessionObject::State() { return std::string(Name(Shown().state())); }
uint64_t SessionObject::ExpiresIn() { return SecondsLeft(Shown(), context_.daemon.clock); }
uint64_t SessionObject::Sealed() { return Shown().counters().sealed; }
uint64_t SessionObject::Opened() { return Shown().counters().opened; }
uint64_t SessionObject::BytesSealed() { return Shown().counters().bytes_sealed; }
uint64_t SessionObject::BytesOpened() { return Shown().counters().bytes_opened; }

}  // namespace keyward::bus
