// Runs keyctl as a shell would, against a FakeAdmin.
#pragma once

#include <unistd.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "keyctl/keyctl.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyctl/fake_admin.h"
#include "tests/unit/keyctl/noticed_stream.h"

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

// What can be read from each descriptor, from where it stands.
inline std::vector<std::string> ContentsOf(const std::vector<int>& descriptors) {
  std::vector<std::string> contents;
  for (const int fd : descriptors) {
    std::string text(4096, ' ');
    const ssize_t size = read(fd, text.data(), text.size());
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    contents.push_back(std::move(text));
  }
  return contents;
}

class KeyctlTest : public ::testing::Test {
 protected:
  keyctl::ExitCode Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    keyctl::Environment environment{
        .in = in_,
        .out = out_,
        .err = err_,
        .in_is_terminal = terminal_,
        .color = color_,
        .err_columns = 0,
        .patience = patience_,
        .connect = [this]() -> Result<std::unique_ptr<AdminClient>> {
          waits_();
          if (connect_error_) return Fail(*connect_error_);
          return std::make_unique<FakeAdmin>(keyd_);
        },
        .wait_for_keyd =
            [this](std::chrono::milliseconds patience) {
              waits_();
              waited_ = patience;
              return Result<void>();
            },
        .run_keyd = [this](const keyctl::KeydCall& call) -> Result<std::string> {
          waits_();
          keyd_run_ = call.arguments;
          keyd_run_.push_back("in " + call.state_directory);
          given_ = testing_support::ContentsOf(call.descriptors);
          if (keyd_error_) return Fail(*keyd_error_);
          return keyd_answer_;
        },
        .ask_secret = [this](const std::string& question) -> Result<SecretBytes> {
          asked_.push_back(question);
          return SecretBytes::CopyOf(AsBytes(typed_));
        },
        .names = names_,
        .clock = clock_};
    return keyctl::RunKeyctl(arguments, environment);
  }

  nlohmann::json OutJson() const { return nlohmann::json::parse(out_.str()); }
  nlohmann::json ErrorJson() const { return nlohmann::json::parse(err_.str()).at("error"); }

  FakeAdmin::State keyd_;
  std::optional<Error> connect_error_;
  bool terminal_ = false;
  bool color_ = false;
  std::chrono::milliseconds patience_ = std::chrono::hours(1);
  std::function<void()> waits_ = [] {};  // while keyd is waited for
  std::chrono::milliseconds waited_{};
  std::vector<std::string> keyd_run_;  // what a keyd was run with
  std::optional<Error> keyd_error_;
  std::string keyd_answer_;         // what it printed
  std::vector<std::string> given_;  // what its descriptors read as
  std::vector<std::string> asked_;  // questions at the terminal
  std::string typed_ = "typed";
  std::istringstream in_;
  std::ostringstream out_;
  NoticedStream err_;
  OnlyRoot names_;
  FakeClock clock_;
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
