// What a caller that may use a key holds: the right to have typed payloads signed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "core/purpose.h"
#include "keyd/channel.h"
#include "keyd/key_version.h"
#include "policy/policy.h"

namespace keyward {

// Not yet on its way: `by` may be revoked before it leaves.
struct Signature {
  Bytes bytes;
  std::shared_ptr<KeyVersion> by;
};

// Signs for one caller. Any thread may call.
class KeyHandle {
 public:
  using SignDone = std::function<void(Result<Signature>)>;

  KeyHandle(policy::Caller caller, std::string key, std::set<Purpose> purposes,
            std::shared_ptr<ActiveVersion> active)
      : caller_(std::move(caller)),
        key_(std::move(key)),
        purposes_(std::move(purposes)),
        active_(std::move(active)) {}

  // Signs with the active version; `done` is called once, here or on a custodian's thread. Errors:
  // kUnknownPurpose, kPermissionDenied (the purpose is not granted), kMalformed (the payload is not
  // what the purpose demands), kRevoked, kBusy, and the custodian's.
  void Sign(std::string_view purpose, Bytes payload, const SignDone& done) const;
  // Whether there is a version that signs. Errors: kRevoked.
  Result<void> CheckUsable() const;
  // Errors: kUnknownPurpose, kPermissionDenied (the purpose is not granted).
  Result<Purpose> Granted(std::string_view purpose) const;

  const policy::Caller& caller() const { return caller_; }
  const std::string& key() const { return key_; }

 private:
  const policy::Caller caller_;
  const std::string key_;
  const std::set<Purpose> purposes_;
  const std::shared_ptr<ActiveVersion> active_;
};

// What came of the requests of one channel. Any thread.
struct KeyChannelUse {
  std::atomic<uint64_t> signatures = 0;
  std::atomic<uint64_t> refused = 0;
  std::atomic<bool> told = false;  // in the audit log, by whoever sets it first
};

// Serves a key's channel.
class KeyChannelHandler final : public ChannelHandler {
 public:
  // `closed` is called once, on the channel's worker thread.
  KeyChannelHandler(std::shared_ptr<const KeyHandle> handle, std::shared_ptr<KeyChannelUse> use,
                    std::function<void()> closed)
      : handle_(std::move(handle)), use_(std::move(use)), closed_(std::move(closed)) {}

  void OnRequest(const std::shared_ptr<Channel>& channel, const channel::Packet& packet) override;
  void OnClosed() override { closed_(); }

 private:
  const std::shared_ptr<const KeyHandle> handle_;
  const std::shared_ptr<KeyChannelUse> use_;
  const std::function<void()> closed_;
};

}  // namespace keyward
