#include "keyd/restore_mark.h"

#include <sstream>

#include "core/encoding.h"
#include "core/file.h"
#include "keyd/master_record.h"

namespace keyward {
namespace {

constexpr const char* kFile = "restored";
constexpr size_t kMaxFile = 256;
constexpr size_t kIdSize = 16;  // bytes

}  // namespace

Result<void> WriteRestoreMark(const std::filesystem::path& state_directory,
                              const RestoreMark& mark) {
  std::ostringstream line;
  line << mark.id << ' ' << mark.created.time_since_epoch().count() << ' ' << mark.epoch << '\n';
  return ReplaceFile(state_directory / kFile, AsBytes(line.str()));
}

Result<std::optional<RestoreMark>> ReadRestoreMark(const std::filesystem::path& state_directory) {
  KEYWARD_ASSIGN(const std::optional<Bytes> file, ReadFile(state_directory / kFile, kMaxFile));
  if (!file) return std::nullopt;
  std::istringstream line{std::string(AsText(*file))};
  RestoreMark mark{};
  uint64_t created = 0;
  line >> mark.id >> created >> mark.epoch;
  const Result<Bytes> id = FromHex(mark.id);
  if (!line || !id || id->size() != kIdSize) {
    return Fail(ErrorCode::kMalformed, "the file restored holds something else");
  }
  mark.created = WallTime(std::chrono::milliseconds(static_cast<int64_t>(created)));
  return mark;
}

Result<void> RemoveRestoreMark(const std::filesystem::path& state_directory) {
  return RemoveFile(state_directory / kFile);
}

Result<void> RemoveRestoreMarkUnlessMade(const std::filesystem::path& state_directory) {
  KEYWARD_ASSIGN(const bool made, FileExists(state_directory / kMasterFile));
  return made ? Result<void>() : RemoveRestoreMark(state_directory);
}

}  // namespace keyward
