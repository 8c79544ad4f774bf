#include "examples/module/conversation.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/encoding.h"

namespace keyward::example {
namespace {

constexpr int64_t kChatInterval = 50'000'000;  // nanoseconds
constexpr uint64_t kChatsPerReport = 20;
constexpr size_t kChunksPerBatch = 16;
// When the connection and the session end together, keyd's reason may come second.
constexpr int kPatienceForReason = 2000;  // milliseconds

Result<UniqueFd> MakeTimer() {
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const itimerspec interval{.it_interval = {0, kChatInterval}, .it_value = {0, kChatInterval}};
  if (!timer || timerfd_settime(timer.get(), 0, &interval, nullptr) != 0) {
    return Fail(ErrorCode::kIo, std::string("timerfd: ") + std::strerror(errno));
  }
  return timer;
}

std::chrono::microseconds Since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                               begun);
}

}  // namespace

Result<void> Conversation::Run() {
  const Result<void> talked = Talk();
  if (talked && !interrupted_) {
    reporter_.Closed({ErrorCode::kSessionClosed, "both sides have said all they had to say"});
    return session_.Close();
  }
  const Error why = talked ? Error(ErrorCode::kSessionClosed, "interrupted by a signal")
                           : WhyItEnded(talked.error());
  reporter_.Closed(why);
  if (interrupted_ || script_.chat_until_closed) return {};
  return Fail(why);
}

Result<void> Conversation::Talk() {
  if (script_.chat_until_closed) {
    KEYWARD_ASSIGN(timer_, MakeTimer());
  }
  if (session_.role() == Role::kInitiator) KEYWARD_TRY(SpeakTurn());
  while (!Finished() && !interrupted_) KEYWARD_TRY(WaitForEvent());
  return {};
}

Result<void> Conversation::WaitForEvent() {
  // poll(2) passes over a descriptor of -1, which the timer is without a chat.
  std::array<pollfd, 4> entries{
      pollfd{signals_.descriptor(), POLLIN, 0}, pollfd{session_.descriptor(), POLLIN, 0},
      pollfd{stream_.descriptor(), POLLIN, 0}, pollfd{timer_.get(), POLLIN, 0}};
  if (poll(entries.data(), entries.size(), -1) < 0) {
    if (errno == EINTR) return {};
    return Fail(ErrorCode::kIo, std::string("poll: ") + std::strerror(errno));
  }
  interrupted_ = entries[0].revents != 0;
  if (interrupted_) return {};
  if (entries[1].revents != 0) KEYWARD_TRY(session_.CheckOpen());
  if (entries[2].revents != 0) KEYWARD_TRY(Receive());
  if (entries[3].revents != 0) KEYWARD_TRY(Chat());
  return {};
}

Result<void> Conversation::SpeakTurn() {
  for (const std::string& text : script_.say) {
    KEYWARD_TRY(Send(MessageType::kText, AsBytes(text)));
    reporter_.TextSent(text);
  }
  if (!script_.send_file.empty()) KEYWARD_TRY(SendFile());
  done_sent_ = true;
  return Send(MessageType::kDone, {});
}

Result<void> Conversation::SendFile() {
  const auto begun = std::chrono::steady_clock::now();
  KEYWARD_ASSIGN(FileReader file, FileReader::Open(script_.send_file));
  while (true) {
    KEYWARD_ASSIGN(const std::vector<Bytes> chunks, file.NextChunks(kChunksPerBatch));
    if (chunks.empty()) break;
    const std::vector<ByteView> views(chunks.begin(), chunks.end());
    KEYWARD_ASSIGN(const std::vector<Bytes> frames,
                   session_.SealMany(views, MetadataFor(MessageType::kChunk)));
    for (const Bytes& frame : frames) {
      KEYWARD_TRY(WriteMessage(stream_, frame, Deadline(kDefaultTimeout)));
    }
  }
  const Bytes digest = file.FinishHash();
  KEYWARD_TRY(Send(MessageType::kFileEnd, digest));
  reporter_.FileSent(file.bytes(), ToHex(digest), Since(begun));
  return {};
}

Result<void> Conversation::Send(MessageType type, ByteView plaintext) {
  KEYWARD_ASSIGN(const Bytes frame, session_.Seal(plaintext, MetadataFor(type)));
  return WriteMessage(stream_, frame, Deadline(kDefaultTimeout));
}

Result<void> Conversation::Receive() {
  KEYWARD_ASSIGN(const Bytes frame, ReadMessage(stream_, Deadline(kDefaultTimeout)));
  KEYWARD_ASSIGN(const OpenedMessage message, session_.Open(frame));
  KEYWARD_ASSIGN(const MessageType type, TypeFromMetadata(message.metadata));
  switch (type) {
    case MessageType::kText:
      reporter_.TextReceived(std::string(AsText(message.plaintext)));
      return {};
    case MessageType::kChat:
      ++chats_received_;
      return {};
    case MessageType::kChunk:
    case MessageType::kFileEnd:
      return TakeFilePart(type, message.plaintext);
    case MessageType::kDone:
      done_received_ = true;
      if (!done_sent_) return SpeakTurn();
      return {};
  }
  return {};
}

Result<void> Conversation::TakeFilePart(MessageType type, ByteView part) {
  if (!incoming_) {
    KEYWARD_ASSIGN(incoming_, FileWriter::Create(script_.receive_file));
  }
  if (type == MessageType::kChunk) return incoming_->Write(part);
  const Bytes digest = incoming_->FinishHash();
  if (ToHex(digest) != ToHex(part)) {
    return Fail(ErrorCode::kDataCorrupt, "the file is not the one that the peer sent");
  }
  reporter_.FileReceived(incoming_->bytes(), ToHex(digest));
  incoming_.reset();
  return {};
}

Result<void> Conversation::Chat() {
  uint64_t ticks = 0;
  if (read(timer_.get(), &ticks, sizeof(ticks)) < 0) return {};  // another poll will tell
  KEYWARD_TRY(Send(MessageType::kChat, AsBytes("still here")));
  ++chats_sent_;
  if (chats_sent_ % kChatsPerReport == 1) reporter_.Chatted(chats_sent_, chats_received_);
  if (script_.rekey_every == 0 || chats_sent_ % script_.rekey_every != 0) return {};
  KEYWARD_TRY(session_.Rekey());
  reporter_.Rekeyed();
  return {};
}

Error Conversation::WhyItEnded(Error seen) {
  pollfd entry{session_.descriptor(), POLLIN, 0};
  if (seen.code() == ErrorCode::kSessionClosed && session_.descriptor() >= 0 &&
      poll(&entry, 1, kPatienceForReason) > 0) {
    if (const Result<void> open = session_.CheckOpen(); !open) return open.error();
  }
  return seen;
}

}  // namespace keyward::example
