// A key that this process may use to sign its transport's handshakes, and never holds.
#pragma once

#include <memory>
#include <string>

#include "core/bytes.h"
#include "core/public_key.h"
#include "core/purpose.h"
#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward {

class BusConnection;
class ChannelClient;

// Move-only; one thread at a time. Errors of every call: kSessionClosed or kRevoked once keyd has
// closed the handle, with its reason; kUnreachable when it did not answer in time.
class Key {
 public:
  Key(Key&&) noexcept;
  Key& operator=(Key&&) noexcept;
  ~Key();

  const std::string& name() const { return name_; }

  // Signs `payload` if it is what `purpose` says; the formats are those of PublicKey::Verify.
  // Errors: kMalformed (not what the purpose says), kPermissionDenied (a purpose that the policy
  // does not grant), kCustodianUnavailable, kBusy.
  Result<Bytes> SignHandshake(Purpose purpose, ByteView payload);
  // The active version's, from keyd, over the bus. Errors: kNotFound, kUnreachable.
  Result<PublicKey> GetPublicKey() const;

 private:
  friend class Client;
  static Result<Key> Create(std::string name, std::string path, UniqueFd channel,
                            std::shared_ptr<BusConnection> bus);
  Key();

  std::string name_;
  std::string path_;
  std::unique_ptr<ChannelClient> channel_;
  std::shared_ptr<BusConnection> bus_;
};

}  // namespace keyward
