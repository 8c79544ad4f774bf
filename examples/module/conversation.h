// What two modules do once their session is established: an event loop over the peer's connection,
// keyd's channel, a timer and signals.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/session.h"
#include "api/stream.h"
#include "examples/module/file_transfer.h"
#include "examples/module/message.h"
#include "examples/module/reporter.h"
#include "examples/module/signals.h"

namespace keyward::example {

struct Script {
  std::vector<std::string> say;  // texts to send, in order
  std::string send_file;         // "" for none
  std::string receive_file;      // where a file that comes goes; "" only hashes it
  bool chat_until_closed = false;
  uint32_t rekey_every = 0;  // chat messages; 0: never
};

class Conversation {
 public:
  Conversation(Session session, SocketStream stream, Reporter& reporter, Script script)
      : session_(std::move(session)),
        stream_(std::move(stream)),
        reporter_(reporter),
        script_(std::move(script)) {}

  // Plays the script until both sides are done, or, with chat_until_closed, until the session or
  // the peer is gone or a signal comes; then tells why. Errors: a session that ended in the middle,
  // unless it was to be talked through until then; those of Session and ByteStream.
  Result<void> Run();

 private:
  Result<void> Talk();
  Result<void> WaitForEvent();
  Result<void> SpeakTurn();
  Result<void> SendFile();
  Result<void> Send(MessageType type, ByteView plaintext);
  Result<void> Receive();
  Result<void> TakeFilePart(MessageType type, ByteView part);
  Result<void> Chat();
  bool Finished() const { return done_sent_ && done_received_ && !script_.chat_until_closed; }
  Error WhyItEnded(Error seen);

  Session session_;
  SocketStream stream_;
  Reporter& reporter_;
  Script script_;
  Signals signals_;
  UniqueFd timer_;
  std::optional<FileWriter> incoming_;
  bool done_sent_ = false;
  bool done_received_ = false;
  bool interrupted_ = false;
  uint64_t chats_sent_ = 0;
  uint64_t chats_received_ = 0;
};

}  // namespace keyward::example
