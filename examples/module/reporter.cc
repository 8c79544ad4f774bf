#include "examples/module/reporter.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace keyward::example {
namespace {

using Json = nlohmann::ordered_json;

double Milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}

std::string Line(const Json& event) {
  return event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

// Each line at once: whoever reads waits for it.
void Reporter::Tell(const std::string& event, const std::string& words) {
  out_ << (events_ ? event : words) << std::endl;
}

void Reporter::Listening(const std::string& socket) {
  Tell(Line({{"event", "listening"}, {"socket", socket}}), "listening on " + socket);
}

void Reporter::Established(const std::string& peer, const std::string& session,
                           std::chrono::microseconds took) {
  const double milliseconds = Milliseconds(took);
  Tell(Line({{"event", "established"},
             {"peer", peer},
             {"session", session},
             {"milliseconds", milliseconds}}),
       fmt::format("session established with {} in {:.1f} ms", peer, milliseconds));
}

void Reporter::TextSent(const std::string& text) {
  Tell(Line({{"event", "sent"}, {"text", text}}), "said: " + text);
}

void Reporter::TextReceived(const std::string& text) {
  Tell(Line({{"event", "text"}, {"text", text}}), "heard: " + text);
}

void Reporter::FileSent(uint64_t bytes, const std::string& sha256, std::chrono::microseconds took) {
  const double milliseconds = Milliseconds(took);
  Tell(
      Line({{"event", "file"},
            {"direction", "sent"},
            {"bytes", bytes},
            {"sha256", sha256},
            {"milliseconds", milliseconds}}),
      fmt::format("sent a file of {} bytes in {:.1f} ms, SHA-256 {}", bytes, milliseconds, sha256));
}

void Reporter::FileReceived(uint64_t bytes, const std::string& sha256) {
  Tell(Line({{"event", "file"}, {"direction", "received"}, {"bytes", bytes}, {"sha256", sha256}}),
       fmt::format("received a file of {} bytes, SHA-256 {}", bytes, sha256));
}

void Reporter::Chatted(uint64_t sent, uint64_t received) {
  Tell(Line({{"event", "chat"}, {"sent", sent}, {"received", received}}),
       fmt::format("chatting: {} messages sent, {} received", sent, received));
}

void Reporter::Rekeyed() { Tell(Line({{"event", "rekeyed"}}), "moved to a fresh key"); }

void Reporter::Closed(const Error& reason) {
  Tell(Line({{"event", "closed"}, {"code", Name(reason.code())}, {"reason", reason.message()}}),
       fmt::format("session closed: {}", reason.message()));
}

}  // namespace keyward::example
