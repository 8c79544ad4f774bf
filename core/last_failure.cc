#include "core/last_failure.h"

#include <algorithm>

#include "core/file.h"

namespace keyward {
namespace {

constexpr const char* kFile = "stopped-because";
constexpr size_t kMaxLine = 1024;

}  // namespace

Result<void> WriteLastFailure(const std::filesystem::path& state_directory, const Error& error) {
  std::string line = std::string(Name(error.code())) + " " + error.message();
  std::ranges::replace(line, '\n', ' ');
  line.resize(std::min(line.size(), kMaxLine - 1));
  return ReplaceFile(state_directory / kFile, AsBytes(line + "\n"));
}

Result<std::optional<Error>> ReadLastFailure(const std::filesystem::path& state_directory) {
  KEYWARD_ASSIGN(const std::optional<Bytes> file, ReadFile(state_directory / kFile, kMaxLine));
  if (!file) return std::nullopt;
  const std::string_view line = AsText(*file);
  const size_t space = line.find(' ');
  const std::optional<ErrorCode> code = ErrorCodeFromName(line.substr(0, space));
  if (!code || space == std::string_view::npos || !line.ends_with('\n')) {
    return Fail(ErrorCode::kMalformed, "the file stopped-because holds something else");
  }
  return Error(*code, std::string(line.substr(space + 1, line.size() - space - 2)));
}

Result<void> ForgetLastFailure(const std::filesystem::path& state_directory) {
  return RemoveFile(state_directory / kFile);
}

}  // namespace keyward
