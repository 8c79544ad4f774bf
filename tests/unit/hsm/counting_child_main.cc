// Usage: hsm_counting_child FOLDER ID OUTPUT COUNT [READY]
// Increments the counter ID (hex) of the SoftHSM token in FOLDER (a SoftHsmToken's) COUNT times,
// and writes each value to OUTPUT, a line each, once the counter has acknowledged it. READY is a
// file that it makes after the login. SOFTHSM2_CONF is inherited.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/encoding.h"
#include "core/unique_fd.h"
#include "hsm/hsm_custodian.h"
#include "tests/support/softhsm_token.h"

namespace keyward {
namespace {

using testing_support::SoftHsmToken;

Result<void> Write(int fd, const std::string& line) {
  if (write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return {};
  return Fail(ErrorCode::kIo, "cannot write");
}

Result<void> Run(int argc, char** argv) {
  const std::string folder = argv[1];
  KEYWARD_ASSIGN(const Bytes hex, FromHex(argv[2]));
  KeyId id{};
  if (hex.size() != id.size()) return Fail(ErrorCode::kInvalidArgument, "an id has 16 bytes");
  std::ranges::copy(hex, id.begin());
  const UniqueFd output(open(argv[3], O_WRONLY | O_APPEND | O_CLOEXEC));
  SystemRng rng;
  hsm::HsmFactory factory({.module_path = SoftHsmToken::kModulePath,
                           .token_label = SoftHsmToken::kLabel,
                           .pin_file = folder + "/pin",
                           .pin_credential = "",
                           .state_directory = folder + "/state"},
                          rng);
  KEYWARD_ASSIGN(const std::unique_ptr<Custodian> custodian, factory.Make());
  Counter& counter = dynamic_cast<hsm::HsmCustodian&>(*custodian).counter();
  if (argc > 5) {
    const UniqueFd ready(open(argv[5], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!ready) return Fail(ErrorCode::kIo, "cannot make the file");
  }
  for (long left = std::strtol(argv[4], nullptr, 10); left > 0; --left) {
    KEYWARD_ASSIGN(const uint64_t value, counter.Increment(id));
    KEYWARD_TRY(Write(output.get(), std::to_string(value) + "\n"));
  }
  return {};
}

}  // namespace
}  // namespace keyward

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const auto done = keyward::Run(argc, argv);
  if (done) return 0;
  const std::string text = done.error().ToString() + " [" + done.error().cause() + "]\n";
  static_cast<void>(std::fputs(text.c_str(), stderr));
  return 1;
}
