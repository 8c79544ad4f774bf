// What keyctl sees of the world; main() makes the real one, tests another.
#pragma once

#include <chrono>
#include <functional>
#include <istream>
#include <memory>
#include <ostream>

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
  const policy::NameResolver& names;
};

}  // namespace keyward::keyctl
