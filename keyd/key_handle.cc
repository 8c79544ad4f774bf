#include "keyd/key_handle.h"

#include <optional>
#include <utility>

#include "core/encoding.h"
#include "session/payload.h"

namespace keyward {

void KeyHandle::Sign(std::string_view purpose_name, Bytes payload, const SignDone& done) const {
  const Result<Purpose> purpose = Granted(purpose_name);
  if (!purpose) return done(Fail(purpose.error()));
  Result<std::shared_ptr<KeyVersion>> version = active_->Get();
  if (!version) return done(Fail(version.error()));
  if (Result<void> fits = session::CheckPayload(*purpose, payload); !fits) {
    return done(Fail(fits.error()));
  }
  const Result<void> queued = (*version)->WithSigner(
      caller_.uid, [payload = std::move(payload), by = *version, done](Result<SignFunction> sign) {
        Result<Bytes> bytes = sign ? (*sign)(payload) : Result<Bytes>(Fail(sign.error()));
        if (!bytes) return done(Fail(bytes.error()));
        done(Signature{std::move(*bytes), by});
      });
  if (!queued) done(Fail(queued.error()));
}

Result<void> KeyHandle::CheckUsable() const {
  KEYWARD_TRY(active_->Get());
  return {};
}

Result<Purpose> KeyHandle::Granted(std::string_view purpose_name) const {
  const std::optional<Purpose> purpose = PurposeFromName(purpose_name);
  if (!purpose) {
    return Fail(ErrorCode::kUnknownPurpose, "there is no such purpose; see keyd's manual");
  }
  if (!purposes_.contains(*purpose)) {
    return Fail(ErrorCode::kPermissionDenied,
                "the policy does not grant this key for this purpose");
  }
  return *purpose;
}

void KeyChannelHandler::OnRequest(const std::shared_ptr<Channel>& channel,
                                  const channel::Packet& packet) {
  const channel::Header request = packet.header;
  if (request.opcode != channel::Opcode::kSign) {
    return channel->ReplyError(
        request, Error(ErrorCode::kInvalidArgument, "this operation is not one of a key"));
  }
  Reader reader(packet.body);
  const Result<ByteView> purpose = reader.Field<uint8_t>();
  if (!purpose) return channel->ReplyError(request, purpose.error());
  if (!channel->Defer(request)) return;
  handle_->Sign(AsText(*purpose), ToBytes(reader.Rest()),
                [channel, request, use = use_](const Result<Signature>& signature) {
                  const Result<void> sent = signature ? signature->by->Release([&] {
                    ++use->signatures;
                    channel->ReplyDeferred(request, signature->bytes);
                  })
                                                      : Result<void>(Fail(signature.error()));
                  if (sent) return;
                  ++use->refused;
                  channel->ReplyDeferred(request, Fail(sent.error()));
                });
}

}  // namespace keyward
