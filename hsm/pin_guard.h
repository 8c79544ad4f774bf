// Remembers which PIN the token refused, so that Keyward never locks a token by trying again.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/result.h"

namespace keyward::hsm {

// Not for several threads at once. The memory is the file `hsm-pin-rejected` in the state
// directory: one line, the identity of the attempt (no secret), with the word "counted" behind it
// where it may be tried once more; replaced atomically.
class PinGuard {
 public:
  explicit PinGuard(const std::filesystem::path& state_directory);

  // Permission to try. Makes sure that a refusal can be written down before there is one, by
  // writing it beside where it would go: so it is known that there is room for it, too. What was
  // refused is tried once more, and only where the token counted that refusal and is found to count
  // none any more, three times in a row (`counts_failures`: whether it does just now): then
  // somebody has logged in since, or set the PIN, so that all tries are left. When a token that
  // says so wrongly refuses it again, two of its tries are gone, and never a third.
  // Errors: kPinRejected (`attempt` was refused before), kIo, kDataCorrupt.
  Result<void> Prepare(const std::string& attempt, bool counts_failures);
  // In this process, and nothing went through since.
  bool HasRefused() const { return refused_.has_value(); }
  // The prepared attempt came to nothing that has to do with the PIN.
  void Forget();
  // The prepared attempt went through: nothing is refused any more.
  void Succeed();
  // The prepared attempt was refused. Errors: kIo; the refusal then holds for this process alone.
  Result<void> Remember(const std::string& attempt, bool counts_failures);

 private:
  struct Refusal {
    std::string attempt;
    bool may_try_again = false;  // once, where the token counts none any more
  };

  // The last one. Errors: those of Prepare but kPinRejected.
  Result<void> ReadRecord();
  bool MayTryAgain(bool counts_failures);

  std::filesystem::path path_;
  std::filesystem::path rehearsal_path_;
  std::optional<Refusal> refused_;
  int sightings_ = 0;  // in a row, of a token that counts no failures any more
};

}  // namespace keyward::hsm
