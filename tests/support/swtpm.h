// A software TPM of the test's own.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace keyward::testing_support {

// Runs swtpm on a Unix socket in a private folder; killed with the object, or with the test
// program. Needs the Debian package swtpm. It serves one client at a time. From the first start on
// the process ignores SIGPIPE and tpm2-tss is silent unless TSS2_LOG is set, as in keyd.
class Swtpm {
 public:
  // Returns once the TPM listens. Errors: kIo.
  static Result<std::unique_ptr<Swtpm>> Start();
  ~Swtpm() = default;
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  // "swtpm:path=..."
  std::string tcti() const;
  // As a power cut: SIGKILL. Returns when it is dead.
  void Kill() { process_.Kill(); }
  // The same TPM on the same socket, after Kill(). Errors: kIo.
  Result<void> Restart();
  // Another TPM on the same socket: its state is new. After Kill(). Errors: kIo.
  Result<void> RestartAsAnother();

 private:
  Swtpm() = default;

  TempDir folder_;
  ChildProcess process_;
};

}  // namespace keyward::testing_support
