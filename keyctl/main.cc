#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "keyctl/keyctl.h"
#include "keyctl/keyd_process.h"
#include "keyctl/secret_input.h"
#include "policy/system_names.h"

namespace {

// https://no-color.org; terminals that are not up to it say "dumb".
bool WantsColor() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && isatty(STDOUT_FILENO) == 1 &&
         terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace keyward;
  const policy::SystemNames names;
  const SystemClock clock;
  keyctl::Environment environment{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .in_is_terminal = isatty(STDIN_FILENO) == 1,
      .color = WantsColor(),
      .connect = [] { return AdminClient::Connect(); },
      .wait_for_keyd = [](std::chrono::milliseconds patience) { return WaitForKeyd({}, patience); },
      .run_keyd = keyctl::RunKeyd,
      .ask_secret = keyctl::AskSecret,
      .names = names,
      .clock = clock};
  const keyctl::ExitCode code =
      keyctl::RunKeyctl(std::vector<std::string>(argv + 1, argv + argc), environment);
  std::cout.flush();
  if (std::cout) return static_cast<int>(code);
  std::cerr << "keyctl: what it had to say could not be written to standard output\n";
  return static_cast<int>(keyctl::ExitCode::kFailure);
}
