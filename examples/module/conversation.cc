#include "examples/module/conversation.h"

#include <fmt/core.h>
#include <poll.h>
#include <sodium.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/encoding.h"

namespace keyward::example {
namespace {

constexpr size_t kChunk = size_t{64} * 1024;
constexpr size_t kChunksInFlight = 16;
constexpr int kTickMs = 50;

class Sha256 {
 public:
  Sha256() { crypto_hash_sha256_init(&state_); }
  void Add(ByteView bytes) { crypto_hash_sha256_update(&state_, bytes.data(), bytes.size()); }
  std::string Hex() {
    std::array<uint8_t, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256_final(&state_, digest.data());
    return ToHex(digest);
  }

 private:
  crypto_hash_sha256_state state_{};
};

std::string Metadata(const std::string& kind) { return nlohmann::json{{"kind", kind}}.dump(); }

std::string KindOf(const std::string& metadata) {
  const auto object = nlohmann::json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("kind") || !object["kind"].is_string()) return {};
  return object["kind"].get<std::string>();
}

Deadline Soon() { return Deadline(kDefaultTimeout); }

}  // namespace

Result<bool> Conversation::WaitForPeer(int timeout_ms) {
  std::array<pollfd, 2> fds{{{.fd = session_.descriptor(), .events = POLLIN, .revents = 0},
                             {.fd = stream_.descriptor(), .events = POLLIN, .revents = 0}}};
  if (poll(fds.data(), fds.size(), timeout_ms) < 0 && errno != EINTR) {
    return Fail(ErrorCode::kIo, "poll failed");
  }
  if (fds[0].revents != 0) KEYWARD_TRY(session_.CheckOpen());
  return fds[1].revents != 0;
}

Result<void> Conversation::Send(const std::string& kind, ByteView body) {
  KEYWARD_ASSIGN(const Bytes frame, session_.Seal(body, Metadata(kind)));
  return WriteMessage(stream_, frame, Soon());
}

Result<void> Conversation::SendChunks(std::span<const Bytes> chunks) {
  const std::vector<ByteView> views(chunks.begin(), chunks.end());
  KEYWARD_ASSIGN(const std::vector<Bytes> frames, session_.SealMany(views, Metadata("chunk")));
  for (const Bytes& frame : frames) KEYWARD_TRY(WriteMessage(stream_, frame, Soon()));
  return {};
}

Result<Conversation::Message> Conversation::Receive() {
  for (bool ready = false; !ready;) {
    KEYWARD_ASSIGN(ready, WaitForPeer(-1));
  }
  KEYWARD_ASSIGN(const Bytes frame, ReadMessage(stream_, Soon()));
  KEYWARD_ASSIGN(OpenedMessage opened, session_.Open(frame));
  return Message{KindOf(opened.metadata), std::move(opened.plaintext)};
}

Result<void> Conversation::ExchangeText(const std::string& text) {
  KEYWARD_TRY(Send("text", AsBytes(text)));
  KEYWARD_ASSIGN(const Message answer, Receive());
  const std::string said(AsText(answer.body));
  report_.Say("text", fmt::format("the answer: {}", said), said);
  return {};
}

Result<void> Conversation::SendFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(ErrorCode::kIo, path + " cannot be read");
  const auto start = std::chrono::steady_clock::now();
  Sha256 hash;
  size_t size = 0;
  while (file) {
    std::vector<Bytes> chunks;
    while (file && chunks.size() < kChunksInFlight) {
      Bytes chunk(kChunk);
      file.read(reinterpret_cast<char*>(chunk.data()), static_cast<std::streamsize>(chunk.size()));
      chunk.resize(static_cast<size_t>(file.gcount()));
      hash.Add(chunk);
      size += chunk.size();
      if (!chunk.empty()) chunks.push_back(std::move(chunk));
    }
    if (!chunks.empty()) KEYWARD_TRY(SendChunks(chunks));
  }
  if (file.bad()) return Fail(ErrorCode::kIo, path + " cannot be read");
  KEYWARD_TRY(Send("end", {}));
  KEYWARD_ASSIGN(const Message answer, Receive());
  const std::string digest = hash.Hex();
  if (AsText(answer.body) != digest) return Fail(ErrorCode::kDataCorrupt, "another file arrived");
  report_.Say(
      "file",
      fmt::format("{} bytes arrived with the same SHA-256 ({}) in {}", size, digest, Since(start)),
      digest);
  return {};
}

Result<void> Conversation::KeepTalking() {
  report_.Say("talking", "talking until the session ends");
  while (true) {
    KEYWARD_TRY(Send("tick", AsBytes("still here")));
    KEYWARD_TRY(Receive());
    KEYWARD_TRY(WaitForPeer(kTickMs));
  }
}

Result<void> Conversation::Answer(const std::string& path) {
  std::ofstream file;
  Sha256 hash;
  while (true) {
    KEYWARD_ASSIGN(const Message message, Receive());
    if (message.kind == "text") {
      const std::string said(AsText(message.body));
      report_.Say("text", fmt::format("received: {}", said), said);
      KEYWARD_TRY(Send("text", AsBytes("I got: " + said)));
    } else if (message.kind == "chunk") {
      if (!path.empty() && !file.is_open()) file.open(path, std::ios::binary | std::ios::trunc);
      file.write(reinterpret_cast<const char*>(message.body.data()),
                 static_cast<std::streamsize>(message.body.size()));
      hash.Add(message.body);
    } else if (message.kind == "end") {
      file.close();
      if (!path.empty() && !file) return Fail(ErrorCode::kIo, path + " cannot be written");
      const std::string digest = hash.Hex();
      report_.Say("file", fmt::format("received a file with SHA-256 {}", digest), digest);
      KEYWARD_TRY(Send("received", AsBytes(digest)));
      hash = Sha256();
    } else {
      KEYWARD_TRY(Send("tick", AsBytes("so am I")));
    }
  }
}

}  // namespace keyward::example
