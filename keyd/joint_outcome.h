// Several changes that are one to whoever asked for them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "core/result.h"

namespace keyward {

// Tells `done` once, when every part has been told: how many sessions ended, or the first error.
// Held by its parts. Belongs to the bus thread.
class JointOutcome : public std::enable_shared_from_this<JointOutcome> {
 public:
  using Done = std::function<void(Result<void>)>;
  using Ended = std::function<void(Result<uint32_t>)>;

  // Runs `begin`, which asks for the changes, and ends what they are to end: nothing is told before
  // it has returned.
  static void Of(const Ended& done, const std::function<void(JointOutcome&)>& begin);

  // For one more change, to be called once.
  Done Part();
  Ended PartThatEnds();
  void CountEnded(uint32_t sessions) { ended_ += sessions; }

 private:
  explicit JointOutcome(Ended done) : done_(std::move(done)) {}

  const Ended done_;
  size_t parts_ = 0;  // that are not told yet
  uint32_t ended_ = 0;
  std::optional<Error> error_;
};

}  // namespace keyward
