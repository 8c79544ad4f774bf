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

namespace keyward {

class BusConnection;

// A key as keyd lists it.
struct KeySummary {
  std::string name;
  std::string algorithm;  // "ed25519": core/algorithm.h
  std::string custody;    // "hardware", "sealed"
  std::string custodian;  // "hsm", "tpm"
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

 private:
  explicit Client(std::shared_ptr<BusConnection> bus);

  std::shared_ptr<BusConnection> bus_;
};

}  // namespace keyward
