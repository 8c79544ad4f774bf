// Remembers which PIN the token refused, so that Keyward never locks a token by trying again.
#pragma once

#include <filesystem>
#include <string>

#include "core/result.h"

namespace keyward::hsm {

// Not for several threads at once. The memory is the file `hsm-pin-rejected` in the state
// directory: one line, the identity of the attempt (no secret), replaced atomically.
class PinGuard {
 public:
  explicit PinGuard(const std::filesystem::path& state_directory);

  // Permission to try. Makes sure that a refusal can be written down before there is one, by
  // writing it beside where it would go: so it is known that there is room for it, too.
  // Errors: kPinRejected (`attempt` was refused before), kIo, kDataCorrupt.
  Result<void> Prepare(const std::string& attempt);
  // The prepared attempt went through.
  void Forget();
  // The prepared attempt was refused. Errors: kIo; the refusal then holds for this process alone.
  Result<void> Remember(const std::string& attempt);

 private:
  std::filesystem::path path_;
  std::filesystem::path rehearsal_path_;
  std::string rejected_;
};

}  // namespace keyward::hsm
