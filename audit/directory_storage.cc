#include "audit/directory_storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "core/unique_fd.h"

namespace keyward::audit {
namespace {

constexpr std::string_view kPrefix = "audit-";
constexpr std::string_view kSuffix = ".jsonl";
constexpr size_t kDigits = 20;
constexpr mode_t kMode = 0600;

std::unexpected<Error> Failed(const std::string& step) {
  const int reason = errno;
  const bool no_space = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
  return Fail(Error(no_space ? ErrorCode::kResourceExhausted : ErrorCode::kIo,
                    no_space ? "there is no space left for the audit log; free some on its disk"
                             : "the audit log's disk failed")
                  .WithCause(step + ": " + strerror(reason)));
}

std::optional<uint64_t> FirstSeqIn(std::string_view name) {
  if (name.size() != kPrefix.size() + kDigits + kSuffix.size()) return std::nullopt;
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t seq = 0;
  const char* const digits = name.data() + kPrefix.size();
  const auto [end, error] = std::from_chars(digits, digits + kDigits, seq);
  if (error != std::errc() || end != digits + kDigits) return std::nullopt;
  return seq;
}

class File final : public SegmentFile {
 public:
  File(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<size_t> Write(ByteView bytes) override {
    while (true) {
      const ssize_t put = write(fd_.get(), bytes.data(), bytes.size());
      if (put > 0) return static_cast<size_t>(put);
      if (put == 0) errno = EIO;
      if (errno != EINTR) return Failed("write " + name_);
    }
  }
  Result<void> Sync() override {
    if (fdatasync(fd_.get()) != 0) return Failed("fdatasync " + name_);
    return {};
  }
  Result<void> Truncate(uint64_t size) override {
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return Failed("ftruncate " + name_);
    return {};
  }
  Result<void> Allocate(uint64_t end) override {
    while (fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(end)) != 0) {
      if (errno == EINTR) continue;
      if (errno != EOPNOTSUPP) return Failed("fallocate " + name_);
      return Fail(ErrorCode::kNotSupported,
                  "the audit log's filesystem cannot set space aside; put the log on another, or "
                  "configure it without a reserve");
    }
    return {};
  }

 private:
  UniqueFd fd_;
  std::string name_;
};

class Directory final : public Storage {
 public:
  explicit Directory(UniqueFd folder) : folder_(std::move(folder)) {}

  Result<std::vector<Entry>> List() override;
  Result<std::string> Read(uint64_t first_seq, uint64_t offset, size_t size) override;
  Result<std::unique_ptr<SegmentFile>> Create(uint64_t first_seq) override {
    KEYWARD_ASSIGN(UniqueFd file, Open(first_seq, O_WRONLY | O_APPEND | O_CREAT));
    struct stat status{};
    if (fstat(file.get(), &status) != 0) return Failed("stat " + SegmentName(first_seq));
    if (status.st_size != 0) {
      errno = EEXIST;
      return Failed("create " + SegmentName(first_seq));
    }
    KEYWARD_TRY(SyncNames());
    return std::make_unique<File>(std::move(file), SegmentName(first_seq));
  }
  Result<std::unique_ptr<SegmentFile>> Append(uint64_t first_seq) override {
    KEYWARD_ASSIGN(UniqueFd file, Open(first_seq, O_WRONLY | O_APPEND));
    return std::make_unique<File>(std::move(file), SegmentName(first_seq));
  }
  Result<void> Remove(uint64_t first_seq) override {
    const std::string name = SegmentName(first_seq);
    if (unlinkat(folder_.get(), name.c_str(), 0) != 0) return Failed("unlink " + name);
    return SyncNames();
  }

 private:
  Result<UniqueFd> Open(uint64_t first_seq, int flags) const {
    const std::string name = SegmentName(first_seq);
    UniqueFd file(openat(folder_.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (!file) return Failed("open " + name);
    return file;
  }
  Result<void> SyncNames() const {
    if (fsync(folder_.get()) != 0) return Failed("fsync of the folder");
    return {};
  }

  UniqueFd folder_;
};

struct CloseDir {
  void operator()(DIR* folder) const { closedir(folder); }
};

Result<std::vector<Storage::Entry>> Directory::List() {
  UniqueFd listed(openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, CloseDir> names(listed ? fdopendir(listed.get()) : nullptr);
  if (!names) return Failed("opendir");
  static_cast<void>(listed.Release());  // is the DIR's now
  std::vector<Entry> entries;
  while (true) {
    errno = 0;
    const dirent* const next = readdir(names.get());
    if (next == nullptr && errno != 0) return Failed("readdir");
    if (next == nullptr) break;
    const std::optional<uint64_t> first = FirstSeqIn(next->d_name);
    if (!first) continue;
    struct stat status{};
    if (fstatat(folder_.get(), next->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed(std::string("stat ") + next->d_name);
    }
    entries.push_back({*first, static_cast<uint64_t>(status.st_size)});
  }
  std::ranges::sort(entries, {}, &Entry::first_seq);
  return entries;
}

Result<std::string> Directory::Read(uint64_t first_seq, uint64_t offset, size_t size) {
  KEYWARD_ASSIGN(const UniqueFd file, Open(first_seq, O_RDONLY | O_NONBLOCK));
  std::string text(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t got =
        pread(file.get(), text.data() + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("read " + SegmentName(first_seq));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  return text;
}

}  // namespace

std::string SegmentName(uint64_t first_seq) {
  return fmt::format("{}{:0{}}{}", kPrefix, first_seq, kDigits, kSuffix);
}

Result<std::unique_ptr<Storage>> OpenDirectory(const std::filesystem::path& folder) {
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Failed("open " + folder.string());
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Failed("flock " + folder.string());
    return Fail(Error(ErrorCode::kBusy, "the audit log is in use by another process")
                    .WithCause(folder.string()));
  }
  return std::make_unique<Directory>(std::move(fd));
}

}  // namespace keyward::audit
