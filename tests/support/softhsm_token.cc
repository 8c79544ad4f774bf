#include "tests/support/softhsm_token.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

// SoftHSM 2.6 leaks the name of the curve with each C_SignInit for Ed25519, through libcrypto,
// which only the slow unwinder sees through.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the sanitizers' own names
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __asan_default_options();
extern "C" const char* __lsan_default_suppressions() { return "leak:libsofthsm2.so\n"; }
extern "C" const char* __asan_default_options() { return "fast_unwind_on_malloc=0"; }
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

namespace keyward::testing_support {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const char* what) {
  static_cast<void>(std::fprintf(stderr, "SoftHsmToken: %s\n", what));
  std::abort();
}

void Run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  pid_t child = 0;
  int status = 0;
  if (posix_spawn_file_actions_init(&actions) != 0 ||
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0) != 0 ||
      posix_spawnp(&child, arguments.front(), &actions, nullptr, arguments.data(), environ) != 0) {
    Die("cannot start softhsm2-util: install the package softhsm2");
  }
  posix_spawn_file_actions_destroy(&actions);
  if (waitpid(child, &status, 0) != child || status != 0) Die("softhsm2-util failed");
}

void Write(const fs::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file) Die("cannot write a file");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
}

void InitialiseToken() {
  Run({"softhsm2-util", "--init-token", "--free", "--label", SoftHsmToken::kLabel, "--pin",
       SoftHsmToken::kPin, "--so-pin", SoftHsmToken::kOfficersPin});
}

}  // namespace

SoftHsmToken::SoftHsmToken() {
  fs::create_directory(folder() / "tokens");
  fs::create_directory(state_directory());
  const fs::path configuration = folder() / "softhsm2.conf";
  Write(configuration,
        "directories.tokendir = " + (folder() / "tokens").string() + "\nlog.level = ERROR\n");
  if (setenv("SOFTHSM2_CONF", configuration.c_str(), 1) != 0) Die("cannot set SOFTHSM2_CONF");
  InitialiseToken();
  WritePin(std::string(kPin) + "\n");
}

void SoftHsmToken::WritePin(std::string_view pin) const { Write(pin_file(), pin); }

void SoftHsmToken::TakeAway() const {
  fs::rename(folder() / "tokens", folder() / "away");
  fs::create_directory(folder() / "tokens");
}

void SoftHsmToken::BringBack() const {
  fs::remove(folder() / "tokens");
  fs::rename(folder() / "away", folder() / "tokens");
}

void SoftHsmToken::ReplaceByAnother() const {
  fs::remove_all(folder() / "tokens");
  fs::create_directory(folder() / "tokens");
  InitialiseToken();
}

void SoftHsmToken::InitialiseAgain() const {
  Run({"softhsm2-util", "--init-token", "--token", kLabel, "--label", kLabel, "--pin", kPin,
       "--so-pin", kOfficersPin});
}

// The token's own file is a list of attributes: type, kind of value, value; 8 bytes each,
// big-endian.
void SoftHsmToken::LockPin() const {
  constexpr std::string_view kFlagsType("\x80\0SK", 4);
  constexpr size_t kThirdByteOfValue = kFlagsType.size() + 8 + 5;
  constexpr size_t kLastByteOfChanges = 7;  // of their number, by which open sessions see this one
  constexpr char kUserPinLocked = 0x04;     // CKF_USER_PIN_LOCKED, 0x00040000
  const fs::path token = fs::directory_iterator(folder() / "tokens")->path() / "token.object";
  std::ifstream file(token, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  const size_t flags = bytes.find(kFlagsType);
  if (flags == std::string::npos) Die("the token's file has another form");
  bytes.at(flags + kThirdByteOfValue) |= kUserPinLocked;
  ++bytes.at(kLastByteOfChanges);
  Write(token, bytes);
}

}  // namespace keyward::testing_support
