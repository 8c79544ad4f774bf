// What every protocol engine is to the daemon: a state machine over bytes, without I/O or keys of
// long life.
#pragma once

#include <functional>
#include <string>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward::session {

enum class Role : uint8_t { kInitiator = 1, kResponder = 2 };

// Signs an engine's transcript with the identity key, wherever that is. Errors: the custodian's
// own.
using SignTranscript = std::function<Result<Bytes>(ByteView transcript)>;

struct StepResult {
  Bytes output;  // to send to the peer; may be empty
  bool established = false;
};

// A value for one thread at a time. Keys live in SecretBytes and are wiped when it is destroyed.
class Engine {
 public:
  virtual ~Engine() = default;

  // Takes the peer's handshake message (empty to start as initiator). A failed step ends the
  // handshake: every later call is kWrongState. Errors: kMalformed, kStaleTimestamp,
  // kPeerNotAllowed, kAuthenticationFailed, kWrongState, and those of `sign`.
  virtual Result<StepResult> Step(ByteView input, const SignTranscript& sign) = 0;

  // Replaces `frame` by one message for the peer, from at most max_message_size bytes. `metadata`
  // is empty or a JSON object; it travels in the clear, authenticated. Errors: kWrongState,
  // kTooLarge, kMalformed (metadata), kResourceExhausted.
  virtual Result<void> Seal(ByteView plaintext, std::string_view metadata, Bytes& frame) = 0;

  // Replaces `plaintext` and `metadata` by what the peer's `frame` holds. A frame that fails
  // leaves the session as it was and both of them empty. Errors: kWrongState, kMalformed,
  // kTooLarge, kAuthenticationFailed, kReplayed.
  virtual Result<void> Open(ByteView frame, Bytes& plaintext, std::string& metadata) = 0;

  // Moves the sending direction to a fresh key, unless the one it has is; the peer follows by
  // itself. Errors: kWrongState, kResourceExhausted.
  virtual Result<void> Rekey() = 0;

  virtual bool established() const = 0;
};

}  // namespace keyward::session
