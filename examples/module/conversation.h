// What two example modules say to each other over an established session.
//
// Each message is sealed by keyd and carries its kind in the metadata: "text", "chunk" of a file,
// "end" of it, "received" with its hash, and "tick" while both just keep talking.
#pragma once

#include <string>

#include "api/keyward.h"
#include "examples/module/report.h"

namespace keyward::example {

class Conversation {
 public:
  // All three outlive the conversation.
  Conversation(Session& session, SocketStream& stream, const Report& report)
      : session_(session), stream_(stream), report_(report) {}

  // The initiator's part. Errors: the session's and the stream's.
  Result<void> ExchangeText(const std::string& text);
  // Errors also: kIo (the file), kDataCorrupt (another hash arrived).
  Result<void> SendFile(const std::string& path);
  // Says something every 50 ms until the session ends, which is the error that comes back.
  Result<void> KeepTalking();

  // The responder's part: answers until the session or the connection ends, which is the error.
  // What arrives as a file is written to `path`, if there is one.
  Result<void> Answer(const std::string& path);

 private:
  struct Message {
    std::string kind;
    Bytes body;
  };

  Result<void> Send(const std::string& kind, ByteView body);
  Result<void> SendChunks(std::span<const Bytes> chunks);
  Result<Message> Receive();
  // Waits for the peer's bytes; fails at once when keyd ends the session. False after `timeout_ms`.
  Result<bool> WaitForPeer(int timeout_ms);

  Session& session_;
  SocketStream& stream_;
  const Report& report_;
};

}  // namespace keyward::example
