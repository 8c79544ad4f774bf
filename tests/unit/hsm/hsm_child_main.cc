// Usage: hsm_child FOLDER ID READY OUTPUT WORK
// Works on the SoftHSM token in FOLDER (a SoftHsmToken's) and writes to OUTPUT, a line each, what
// the token has acknowledged. READY is a file that it makes after the login; SOFTHSM2_CONF is
// inherited. WORK is:
//   N         increment the counter ID (hex) N times: its values
//   shared N  the same, beside others that do: tries again where they disturb it
//   master    seal a master key of 32 bytes 42 under ID: the record, in hex
//   secret    seal the same 32 bytes: the blob, in hex
//   key       generate an ECDSA P-256 key under ID: its public half, in hex
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "core/encoding.h"
#include "core/unique_fd.h"
#include "hsm/hsm_custodian.h"
#include "tests/support/softhsm_token.h"

namespace keyward {
namespace {

using testing_support::SoftHsmToken;

constexpr std::string_view kShared = "shared ";

Result<void> Write(int fd, const std::string& line) {
  const std::string text = line + "\n";
  if (write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return Fail(ErrorCode::kIo, "cannot write");
}

// SoftHSM2 writes a token's files in place, at each login too: other processes meet them half
// written now and then, and try again as keyd does.
template <class Work>
auto Persist(Work work) {
  constexpr int kPatience = 200;
  auto outcome = work();
  for (int failures = 0; !outcome && failures < kPatience; ++failures) {
    if (outcome.error().code() != ErrorCode::kCustodianUnavailable &&
        outcome.error().action() != Action::kProvision) {
      break;
    }
    outcome = work();
  }
  return outcome;
}

Result<void> Count(const std::function<Result<uint64_t>()>& increment, long times, int output) {
  for (; times > 0; --times) {
    KEYWARD_ASSIGN(const uint64_t value, increment());
    KEYWARD_TRY(Write(output, std::to_string(value)));
  }
  return {};
}

Result<Bytes> Make(hsm::HsmCustodian& custodian, const KeyId& id, const std::string& what) {
  KEYWARD_ASSIGN(const SecretBytes secret, SecretBytes::CopyOf(Bytes(kMasterKeySize, 42)));
  if (what == "master") return custodian.master_sealer().SealMaster(id, secret, std::nullopt);
  if (what == "secret") return custodian.sealer().Seal(secret, {});
  KEYWARD_ASSIGN(const GeneratedKey key, custodian.signer().GenerateKey(Algorithm::kEcdsaP256, id));
  return key.public_key.spki();
}

Result<void> Run(const std::string& folder, const std::string& hex, const char* ready_path,
                 const char* output_path, const std::string& work) {
  KEYWARD_ASSIGN(const Bytes bytes, FromHex(hex));
  KeyId id{};
  if (bytes.size() != id.size()) return Fail(ErrorCode::kInvalidArgument, "an id has 16 bytes");
  std::ranges::copy(bytes, id.begin());
  const UniqueFd output(open(output_path, O_WRONLY | O_APPEND | O_CLOEXEC));
  SystemRng rng;
  hsm::HsmFactory factory({.module_path = SoftHsmToken::kModulePath,
                           .token_label = SoftHsmToken::kLabel,
                           .pin_file = folder + "/pin",
                           .pin_credential = "",
                           .state_directory = folder + "/state"},
                          rng);
  KEYWARD_ASSIGN(const std::unique_ptr<Custodian> made,
                 Persist([&factory] { return factory.Make(); }));
  auto& custodian = dynamic_cast<hsm::HsmCustodian&>(*made);
  const UniqueFd ready(open(ready_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!ready) return Fail(ErrorCode::kIo, "cannot make the file");
  const auto increment = [&] { return custodian.counter().Increment(id); };
  if (work.starts_with(kShared)) {
    const long times = std::strtol(work.c_str() + kShared.size(), nullptr, 10);
    return Count([&] { return Persist(increment); }, times, output.get());
  }
  const long times = std::strtol(work.c_str(), nullptr, 10);
  if (times > 0) return Count(increment, times, output.get());
  KEYWARD_ASSIGN(const Bytes result, Make(custodian, id, work));
  return Write(output.get(), ToHex(result));
}

}  // namespace
}  // namespace keyward

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const auto done = keyward::Run(argv[1], argv[2], argv[3], argv[4], argv[5]);
  if (done) return 0;
  const std::string text = done.error().ToString() + " [" + done.error().cause() + "]\n";
  static_cast<void>(std::fputs(text.c_str(), stderr));
  return 1;
}
