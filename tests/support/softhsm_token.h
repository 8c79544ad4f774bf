// A SoftHSM2 token of a test's own, in a private temporary folder.
#pragma once

#include <filesystem>
#include <string_view>

#include "tests/support/temp_dir.h"

namespace keyward::testing_support {

// SoftHSM reads SOFTHSM2_CONF when its module is initialised, so this sets it for the process: one
// at a time, and gone only after every custodian on it. Aborts the test program when softhsm2-util
// cannot be run.
class SoftHsmToken {
 public:
  SoftHsmToken();

  static constexpr const char* kModulePath = "/usr/lib/softhsm/libsofthsm2.so";
  static constexpr const char* kLabel = "keyward-test";
  static constexpr const char* kPin = "2468";
  static constexpr const char* kOfficersPin = "13579246";

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path pin_file() const { return folder() / "pin"; }
  std::filesystem::path state_directory() const { return folder() / "state"; }

  // Writes the PIN file anew, mode 0600.
  void WritePin(std::string_view pin) const;
  // The token's files go away, as a card that is pulled, and come back.
  void TakeAway() const;
  void BringBack() const;
  // Another token under the same label and PINs, in place of this one.
  void ReplaceByAnother() const;
  // Initialises the token in its slot, in a process of its own: it keeps its serial number.
  void InitialiseAgain() const;
  // Sets what a token says of a PIN that it has locked; SoftHSM never does by itself.
  void LockPin() const;

 private:
  TempDir folder_;
};

}  // namespace keyward::testing_support
