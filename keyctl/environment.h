// What keyctl sees of the world; main() makes the real one, tests another.
#pragma once

#include <chrono>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "api/admin.h"
#include "core/clock.h"
#include "core/secret_bytes.h"
#include "policy/name_resolver.h"

namespace keyward::keyctl {

// A keyd that is to do one thing and end.
struct KeydCall {
  std::vector<std::string> arguments;
  std::string state_directory;
  // Open descriptors that it gets as 3, 4, ...: files that its user may not be able to open.
  std::vector<int> descriptors;
};
inline constexpr int kFirstDescriptor = 3;

struct Environment {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal;  // someone can answer a question
  bool color;           // on `out`
  size_t err_columns;   // of the terminal that `err` is; 0: it is none, or cannot rewrite a line
  std::chrono::milliseconds patience;  // before someone who waits is told why
  std::function<Result<std::unique_ptr<AdminClient>>()> connect;
  std::function<Result<void>(std::chrono::milliseconds)> wait_for_keyd;
  // What it has printed; see keyd_process.h.
  std::function<Result<std::string>(const KeydCall&)> run_keyd;
  // What is typed at the terminal in answer to a question, unseen; see secret_input.h.
  std::function<Result<SecretBytes>(const std::string& question)> ask_secret;
  const policy::NameResolver& names;
  const Clock& clock;
};

}  // namespace keyward::keyctl
