#include "keyctl/progress_note.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <system_error>
#include <utility>

#include "keyctl/human.h"

namespace keyward::keyctl {
namespace {

constexpr std::chrono::milliseconds kLongestSilence = std::chrono::minutes(1);
constexpr size_t kLongestEnd = 64;  // of a line on a terminal: all but what is done
constexpr const char* kWipeLine = "\x1b[K";

// None where none is to be had: the work matters more than the note.
std::jthread ThreadThat(std::function<void(const std::stop_token&)> runs) {
  try {
    return std::jthread(std::move(runs));
  } catch (const std::system_error&) {
    return {};
  }
}

}  // namespace

ProgressNote::ProgressNote(std::ostream& out, const Clock& clock, Options options)
    : out_(out),
      clock_(clock),
      options_(std::move(options)),
      // A line that is wrapped cannot be written anew.
      rewrites_(options_.doing.size() + kLongestEnd <= options_.columns),
      thread_(ThreadThat([this](const std::stop_token& stop) { Run(stop); })) {}

ProgressNote::~ProgressNote() { Pause(); }

void ProgressNote::Resume() {
  const std::lock_guard lock(mutex_);
  if (working_) return;
  working_ = true;
  ++turns_;
  since_ = clock_.Monotonic();
  silence_ = options_.patience;
  wake_.notify_all();
}

void ProgressNote::Pause() {
  const std::lock_guard lock(mutex_);
  if (!working_) return;
  working_ = false;
  ++turns_;
  if (std::exchange(told_, false) && rewrites_) out_ << kWipeLine << std::flush;
  wake_.notify_all();
}

void ProgressNote::SoFar(std::string what) {
  const std::lock_guard lock(mutex_);
  so_far_ = std::move(what);
}

void ProgressNote::Run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (!working_) {
      wake_.wait(lock, stop, [this] { return working_; });
      continue;
    }
    const uint64_t turn = turns_;
    const bool turned =
        wake_.wait_for(lock, stop, silence_, [this, turn] { return turns_ != turn; });
    if (!turned && !stop.stop_requested()) Tell();
  }
}

void ProgressNote::Tell() {
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  const std::string time = HumanDuration(duration_cast<seconds>(clock_.Monotonic() - since_));
  const std::string note = fmt::format("keyctl: working to {}, {} so far{}", options_.doing, time,
                                       so_far_.empty() ? "" : fmt::format(" ({})", so_far_));
  told_ = true;
  if (rewrites_) {
    // The cursor goes back, so that what another program writes is not put at the note's end.
    out_ << kWipeLine << note << '\r' << std::flush;
    return;
  }
  out_ << note << std::endl;
  silence_ = std::min(silence_ * 2, std::max(kLongestSilence, options_.patience));
}

}  // namespace keyward::keyctl
