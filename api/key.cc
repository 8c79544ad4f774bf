#include "api/key.h"

#include "api/bus_connection.h"
#include "api/channel_client.h"
#include "core/encoding.h"

namespace keyward {
namespace {

using channel::Opcode;

Bytes SignPrefix(Purpose purpose) { return Writer().Field<uint8_t>(AsBytes(Name(purpose))).Take(); }

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

Result<Bytes> Key::SignHandshake(Purpose purpose, ByteView payload) {
  return channel_->Call(Opcode::kSign, SignPrefix(purpose), payload, Deadline(kDefaultTimeout));
}

Result<PublicKey> Key::GetPublicKey() const {
  KEYWARD_ASSIGN(const Bytes spki,
                 bus_->With<KeyProxy>(path_, [](KeyProxy& key) { return key.PublicKey(); }));
  return PublicKey::FromSpki(spki);
}

}  // namespace keyward
