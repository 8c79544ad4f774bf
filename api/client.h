// libkeyward: how a module uses its identity and talks to its peers without ever holding a key.
//
//   KEYWARD_ASSIGN(auto client, Client::Connect());
//   KEYWARD_ASSIGN(auto session, client.OpenSession({.key = "frontend",
//                                                    .role = Role::kInitiator,
//                                                    .peer = "backend"}));
//   KEYWARD_TRY(session.Handshake(stream));
//   KEYWARD_ASSIGN(auto frame, session.Seal(AsBytes("hello")));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/connect.h"
#include "api/key.h"
#include "api/session.h"
#include "core/clock.h"
#include "core/pcr_policy.h"

namespace keyward {

class BusConnection;

// What tells the run of keyd that answers from any other.
struct BootSummary {
  std::string
      state;  // "attested", "waiting" (for the TPM), "changed" (other PCRs by now), "no-tpm"
  std::string detail;  // what is not as it should be and what to do, or ""
  std::string id;      // 64 hex digits: the nonce of the TPM's quote
  std::string quote;   // hex of SHA-256 of the quote's message; "" without one
  WallTime quoted;     // when it was taken
  PcrSelection pcrs;   // what it covers
};

// A key as keyd lists it.
struct KeySummary {
  std::string name;
  std::string algorithm;  // "ed25519": core/algorithm.h
  std::string custody;    // "hardware", "sealed", "derived"
  std::string custodian;  // "hsm", "tpm"; "" for "derived"
  std::string state;      // of the newest version: "active", "revoked", ...
  uint32_t versions = 0;  // how many there are
};

// One thread at a time; sessions and keys opened by it are independent of it and each other.
// Errors of every call: kUnreachable (no bus, no keyd, no answer in time), kPermissionDenied (no
// rule of the policy names this process's user), and those said at the call.
class Client {
 public:
  static Result<Client> Connect(const ConnectOptions& options = {});
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Opens a session as the key `options.key`. Errors: kNotFound (key, peer), kPeerNotAllowed,
  // kUnknownProtocol, kInvalidArgument, kRevoked, kResourceExhausted.
  Result<Session> OpenSession(const SessionOptions& options);
  // Errors: kNotFound, kRevoked, kResourceExhausted.
  Result<Key> OpenKey(const std::string& name);
  // The keys that this process may use.
  Result<std::vector<KeySummary>> ListKeys();
  // The boot that sessions opened now belong to. keyd's admins export its quote.
  Result<BootSummary> Boot();

 private:
  explicit Client(std::shared_ptr<BusConnection> bus);

  std::shared_ptr<BusConnection> bus_;
};

}  // namespace keyward
