// A program that a test runs to its end.
#pragma once

#include <string>
#include <vector>

namespace keyward::testing_support {

struct Outcome {
  int status;          // exit status, 128 + N after signal N, -1 when it could not be run
  std::string output;  // what it wrote to its standard output
};

// argv[0] is looked up in PATH. The program dies with the test.
Outcome RunProgram(const std::vector<std::string>& argv);

}  // namespace keyward::testing_support
