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
#include "policy/name_resolver.h"

namespace keyward::keyctl {

struct Environment {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal;  // someone can answer a question
  bool color;           // on `out`
  std::function<Result<std::unique_ptr<AdminClient>>()> connect;
  std::function<Result<void>(std::chrono::milliseconds)> wait_for_keyd;
  // Arguments, and the state directory: see keyd_process.h.
  std::function<Result<void>(const std::vector<std::string>&, const std::string&)> run_keyd;
  const policy::NameResolver& names;
};

}  // namespace keyward::keyctl
