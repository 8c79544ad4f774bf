#include "keyctl/progress_note.h"

#include <utility>

namespace keyward::keyctl {

ProgressNote::ProgressNote(std::ostream& out, std::string note, std::chrono::milliseconds delay)
    : thread_([this, &out, note = std::move(note), delay](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, stop, delay, [&stop] { return stop.stop_requested(); });
        if (!stop.stop_requested()) out << note << std::endl;
      }) {}

}  // namespace keyward::keyctl
