#include "keyd/audit_readers.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "keyd/audit_events.h"
#include "keyd/audit_opening.h"

namespace keyward {
namespace {

constexpr int kPipeSize = 1 << 20;  // for a reader who is slow at times

static_assert(audit::kMaxLine <= PIPE_BUF, "a line goes into a pipe as a whole, or not at all");

audit::Event Exported(uint32_t caller) {
  return MakeEvent(audit::EventKind::kAuditExport, caller, "");
}

bool IsLost(const UniqueFd& stream) {
  pollfd poll_fd{.fd = stream.get(), .events = 0, .revents = 0};
  return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace

AuditReaders::AuditReaders(AuditTrail& trail, const std::filesystem::path& state_directory)
    : trail_(trail), folder_(state_directory / kAuditFolder) {
  trail_.OnLine([this](std::string_view line) { Pass(line); }, [this] { streams_.clear(); });
}

AuditReaders::~AuditReaders() { trail_.OnLine({}, {}); }

Result<AuditSegment> AuditReaders::Read(uint64_t record, uint32_t caller) {
  if (!trail_.is_open()) return Fail(ErrorCode::kSealed, "the audit log opens with the service");
  auto segments = trail_.log()->Segments();
  const auto after =
      std::ranges::upper_bound(segments, record, {}, [](auto& s) { return s.first; });
  uint64_t first = after == segments.begin() ? after->first : std::prev(after)->first;
  audit::Event event = Exported(caller);
  event.detail = {{"first", first}};
  KEYWARD_TRY(trail_.Record(event));
  segments = trail_.log()->Segments();  // the record may have begun one
  const auto found = std::ranges::find(segments, first, [](auto& s) { return s.first; });
  UniqueFd file(
      open((folder_ / audit::SegmentName(first)).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return Fail(ErrorCode::kIo, "a file of the audit log cannot be opened");
  const auto next = std::next(found);
  return AuditSegment{std::move(file), first, found->second,
                      next == segments.end() ? 0 : next->first};
}

Result<AuditStream> AuditReaders::Follow(uint32_t caller) {
  DropLost();
  if (streams_.size() >= kMaxStreams) {
    return Fail(Error(ErrorCode::kResourceExhausted,
                      "as many follow the audit log as may at one time; end one of them")
                    .WithAction(Action::kRetryLater));
  }
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Fail(ErrorCode::kResourceExhausted, "there is no pipe for the audit log");
  }
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  static_cast<void>(fcntl(writer.get(), F_SETPIPE_SZ, kPipeSize));  // else it is a smaller one
  if (fcntl(writer.get(), F_SETFL, O_NONBLOCK) != 0) {
    return Fail(ErrorCode::kIo, "a pipe for the audit log cannot be set up");
  }
  if (!trail_.is_open()) return Fail(ErrorCode::kSealed, "the audit log opens with the service");
  audit::Event event = Exported(caller);
  event.detail = {{"follow", trail_.log()->head().seq + 1}};
  KEYWARD_TRY(trail_.Record(event));
  streams_.push_back(std::move(writer));
  return AuditStream{std::move(reader), trail_.log()->head().seq + 1};
}

// Whoever falls behind is cut off, and reads on from the files.
void AuditReaders::Pass(std::string_view line) {
  if (streams_.empty()) return;
  const std::string whole = std::string(line) + "\n";
  std::erase_if(streams_, [&whole](const UniqueFd& stream) {
    return write(stream.get(), whole.data(), whole.size()) != static_cast<ssize_t>(whole.size());
  });
}

void AuditReaders::DropLost() { std::erase_if(streams_, IsLost); }

}  // namespace keyward
