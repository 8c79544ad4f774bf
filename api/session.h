// A session with a peer, run by keyd: this process steps it and never sees its keys.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/deadline.h"
#include "api/stream.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/secret_bytes.h"
#include "core/unique_fd.h"

namespace keyward {

class ChannelClient;

enum class Role : uint8_t { kInitiator = 1, kResponder = 2 };

struct SessionOptions {
  std::string key;                  // required: the identity of this module
  std::string protocol = "aico";    //
  Role role{};                      // required
  std::string peer;                 // required: the module or peer at the other end
  std::chrono::seconds lifetime{};  // 0: as long as the policy allows
};

struct HandshakeStep {
  Bytes output;  // to send to the peer; may be empty
  bool established = false;
};

struct TokenBearer {
  uint64_t session;           // its number, as in `keyctl sessions list`
  std::string module;         // whose session it is
  std::chrono::seconds left;  // until it expires at the latest
};

struct OpenedMessage {
  Bytes plaintext;
  std::string metadata;  // a JSON object, or ""
};

// Move-only; destroying it ends the session at keyd, which wipes its keys, as does the death of the
// process. One thread at a time. Errors of every call: kSessionClosed, kRevoked or kExpired once
// the session has ended, with keyd's reason as the message; kUnreachable when keyd did not answer
// in time, which ends the session, because nobody knows then what became of the message.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // The D-Bus object path, for logs and `keyctl sessions end`.
  const std::string& id() const { return id_; }
  Role role() const { return role_; }

  // Takes the peer's handshake message (empty to start as initiator). Errors: kMalformed,
  // kStaleTimestamp, kPeerNotAllowed, kAuthenticationFailed, kWrongState, and the custodian's
  // (kCustodianUnavailable, kPinRejected). A failed step ends the handshake for good.
  Result<HandshakeStep> Step(ByteView input);
  // The whole handshake over `stream`, each message framed as in api/stream.h. `timeout` is for all
  // of it. Errors: those of Step and of ByteStream.
  Result<void> Handshake(ByteStream& stream, std::chrono::milliseconds timeout = kDefaultTimeout);

  // A frame for the peer from at most 16 MiB. `metadata` is "" or a JSON object, which travels in
  // the clear but authenticated. Errors: kTooLarge, kMalformed (metadata), kWrongState,
  // kResourceExhausted.
  Result<Bytes> Seal(ByteView plaintext, std::string_view metadata = {});
  // What the peer sealed. Frames open once and in the order in which they were sealed. Errors:
  // kMalformed, kTooLarge, kAuthenticationFailed, kReplayed, kWrongState. A frame that fails
  // changes nothing.
  Result<OpenedMessage> Open(ByteView frame);
  // Seals many at once, in order, without a round trip for each. An error loses the frames of the
  // whole batch, so close the session then.
  Result<std::vector<Bytes>> SealMany(std::span<const ByteView> plaintexts,
                                      std::string_view metadata = {});
  // Moves what this end seals to a fresh key; the peer follows by itself. Errors: kWrongState.
  Result<void> Rekey();
  // Shows whoever is the peer of this session, on the same host, that its bearer holds it: for
  // channels of another kind. Whoever has it can show it, so send it through those that are safe.
  // Good for as long as the session. Errors: kWrongState (the handshake is not over).
  Result<SecretBytes> Token();
  // Who holds the session that a token is of. Any session of the module that the token is for can
  // ask. Errors: kMalformed, kAuthenticationFailed, kSessionClosed, kPeerNotAllowed (it is for
  // another module).
  Result<TokenBearer> CheckToken(ByteView token);
  // Ends the session at keyd, which confirms it; whatever happens, this end is closed. The peer is
  // not told: that is for the two to say over their connection.
  Result<void> Close();

  // For event loops: poll descriptor() for input between calls, and ask CheckOpen() when it wakes.
  // It never blocks, and fails with the reason once keyd has ended the session.
  int descriptor() const;
  Result<void> CheckOpen();

 private:
  friend class Client;
  static Result<Session> Create(std::string id, Role role, UniqueFd channel);
  Session(std::string id, Role role, std::unique_ptr<ChannelClient> channel);

  std::string id_;
  Role role_;
  std::unique_ptr<ChannelClient> channel_;
};

}  // namespace keyward
