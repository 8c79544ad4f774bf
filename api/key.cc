#include "api/key.h"

#include <limits>

#include "api/bus_connection.h"
#include "api/channel_client.h"
#include "core/encoding.h"

namespace keyward {
namespace {

using channel::Opcode;

Result<Bytes> SignPrefix(std::string_view purpose) {
  if (purpose.size() > std::numeric_limits<uint8_t>::max()) {
    return Fail(ErrorCode::kUnknownPurpose, "no purpose has a name that long");
  }
  return Writer().Field<uint8_t>(AsBytes(purpose)).Take();
}

}  // namespace

Key::Key() = default;
Key::Key(Key&&) noexcept = default;
Key& Key::operator=(Key&&) noexcept = default;
Key::~Key() = default;

Result<Key> Key::Create(std::string name, std::string path, UniqueFd channel,
                        std::shared_ptr<BusConnection> bus) {
  KEYWARD_ASSIGN(ChannelClient client, ChannelClient::Create(std::move(channel)));
  Key key;
  key.name_ = std::move(name);
  key.path_ = std::move(path);
  key.channel_ = std::make_unique<ChannelClient>(std::move(client));
  key.bus_ = std::move(bus);
  return key;
}

Result<Bytes> Key::SignHandshake(std::string_view purpose, ByteView payload) {
  KEYWARD_ASSIGN(const Bytes prefix, SignPrefix(purpose));
  return channel_->Call(Opcode::kSign, prefix, payload, Deadline(kDefaultTimeout));
}

Result<std::vector<Bytes>> Key::SignMany(std::string_view purpose,
                                         std::span<const ByteView> payloads) {
  KEYWARD_ASSIGN(const Bytes prefix, SignPrefix(purpose));
  return channel_->CallMany(Opcode::kSign, prefix, payloads, Deadline(kDefaultTimeout));
}

Result<PublicKey> Key::GetPublicKey() const {
  KEYWARD_ASSIGN(const Bytes spki,
                 bus_->With<KeyProxy>(path_, [](KeyProxy& key) { return key.PublicKey(); }));
  return PublicKey::FromSpki(spki);
}

}  // namespace keyward
