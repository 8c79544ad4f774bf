#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "keyctl/keyctl.h"
#include "keyctl/keyd_process.h"
#include "keyctl/secret_input.h"
#include "policy/system_names.h"

namespace {

// Whether the descriptor is a terminal that does more than print; others say "dumb".
bool IsAbleTerminal(int fd) {
  const char* terminal = std::getenv("TERM");
  return isatty(fd) == 1 && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

// https://no-color.org
bool WantsColor() {
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && IsAbleTerminal(STDOUT_FILENO);
}

size_t ErrorColumns() {
  winsize size{};
  if (!IsAbleTerminal(STDERR_FILENO) || ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
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
      .err_columns = ErrorColumns(),
      .patience = std::chrono::seconds(1),
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
