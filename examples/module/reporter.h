// Tells what happens: in words for people, or as one JSON object a line for scripts.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include "core/error.h"

namespace keyward::example {

class Reporter {
 public:
  Reporter(std::ostream& out, bool events) : out_(out), events_(events) {}

  void Listening(const std::string& socket);
  void Established(const std::string& peer, const std::string& session,
                   std::chrono::microseconds took);
  void TextSent(const std::string& text);
  void TextReceived(const std::string& text);
  void FileSent(uint64_t bytes, const std::string& sha256, std::chrono::microseconds took);
  void FileReceived(uint64_t bytes, const std::string& sha256);
  // Of --chat-until-closed: how many small messages there have been so far.
  void Chatted(uint64_t sent, uint64_t received);
  void Rekeyed();
  // `reason` is keyd's where keyd ended the session.
  void Closed(const Error& reason);

 private:
  // `event` as a line of JSON, `words` for people.
  void Tell(const std::string& event, const std::string& words);

  std::ostream& out_;
  bool events_;
};

}  // namespace keyward::example
