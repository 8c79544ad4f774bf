// Runs keyctl as a shell would, against a FakeAdmin.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "keyctl/keyctl.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyctl/fake_admin.h"

namespace keyward::testing_support {

// Knows one user and one group, "root".
class OnlyRoot final : public policy::NameResolver {
 public:
  Result<uint32_t> UserId(const std::string& name) const override { return Find(name); }
  Result<uint32_t> GroupId(const std::string& name) const override { return Find(name); }

 private:
  static Result<uint32_t> Find(const std::string& name) {
    if (name == "root") return 0;
    return Fail(ErrorCode::kNotFound, "no such name");
  }
};

class KeyctlTest : public ::testing::Test {
 protected:
  keyctl::ExitCode Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    keyctl::Environment environment{.in = in_,
                                    .out = out_,
                                    .err = err_,
                                    .in_is_terminal = terminal_,
                                    .color = color_,
                                    .connect = [this]() -> Result<std::unique_ptr<AdminClient>> {
                                      if (connect_error_) return Fail(*connect_error_);
                                      return std::make_unique<FakeAdmin>(keyd_);
                                    },
                                    .wait_for_keyd =
                                        [this](std::chrono::milliseconds patience) {
                                          waited_ = patience;
                                          return Result<void>();
                                        },
                                    .run_keyd = [this](const std::vector<std::string>& with,
                                                       const std::string& state) -> Result<void> {
                                      keyd_run_ = with;
                                      keyd_run_.push_back("in " + state);
                                      if (keyd_error_) return Fail(*keyd_error_);
                                      return {};
                                    },
                                    .names = names_};
    return keyctl::RunKeyctl(arguments, environment);
  }

  nlohmann::json OutJson() const { return nlohmann::json::parse(out_.str()); }
  nlohmann::json ErrorJson() const { return nlohmann::json::parse(err_.str()).at("error"); }

  FakeAdmin::State keyd_;
  std::optional<Error> connect_error_;
  bool terminal_ = false;
  bool color_ = false;
  std::chrono::milliseconds waited_{};
  std::vector<std::string> keyd_run_;  // what a keyd was run with
  std::optional<Error> keyd_error_;
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
  OnlyRoot names_;
};

// A file of the test's own, gone at its end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text) : path_(folder_.File("file")) {
    std::ofstream(path_) << text;
  }

  const std::string& path() const { return path_; }

 private:
  TempDir folder_;
  std::string path_;
};

}  // namespace keyward::testing_support
