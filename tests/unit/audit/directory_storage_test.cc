#include "audit/directory_storage.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "audit/log.h"
#include "audit/verify.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward::audit {
namespace {

using testing_support::FailsWith;
using testing_support::FakeClock;
using testing_support::IsValid;
using testing_support::SomeEvent;
using testing_support::TempDir;
using testing_support::VerifyText;

constexpr uint64_t kReserve = uint64_t{256} * 1024;

class DirectoryStorageTest : public ::testing::Test {
 protected:
  Result<Log> Open(const std::optional<Head>& expected = {}) {
    return Log::Open(folder_.path(), clock_, rng_,
                     {.limits = {.segment_bytes = 2000, .reserve_bytes = kReserve},
                      .expected_head = expected,
                      .signers = {}});
  }
  std::string FirstSegment() const { return folder_.File("audit-00000000000000000001.jsonl"); }
  static struct stat StatusOf(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status;
  }
  // All segments, in the order of their names.
  std::string Contents() const {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    std::ostringstream all;
    for (const auto& path : paths) all << std::ifstream(path).rdbuf();
    return all.str();
  }

  FakeClock clock_;
  SystemRng rng_;
  TempDir folder_;
};

TEST_F(DirectoryStorageTest, KeepsTheLogInFilesThatOnlyItsUserReads) {
  Head head;
  {
    ASSERT_OK_AND_ASSIGN(Log log, Open());
    for (int i = 0; i < 30; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
    head = log.head();
  }
  EXPECT_EQ(StatusOf(FirstSegment()).st_mode & 07777, 0600);
  std::ofstream(folder_.File("notes.txt")) << "not the log's\n";
  ASSERT_OK_AND_ASSIGN(Log log, Open(head));
  ASSERT_OK(log.Append(SomeEvent("b")));
  std::filesystem::remove(folder_.File("notes.txt"));
  EXPECT_THAT(VerifyText(Contents(), {.keys = {}, .head = log.head()}), IsValid());
}

TEST_F(DirectoryStorageTest, SetsSpaceAsideThatIsNotPartOfTheFile) {
  ASSERT_OK_AND_ASSIGN(Log log, Open());
  const struct stat status = StatusOf(FirstSegment());
  EXPECT_LT(static_cast<uint64_t>(status.st_size), kMaxLine);
  EXPECT_GE(static_cast<uint64_t>(status.st_blocks) * 512, kReserve);
  for (int i = 0; i < 30; ++i) ASSERT_OK(log.Append(SomeEvent("a")));
  const struct stat finished = StatusOf(FirstSegment());
  EXPECT_LT(static_cast<uint64_t>(finished.st_blocks) * 512, kReserve);
}

TEST_F(DirectoryStorageTest, AFolderHasOneLogAtATime) {
  ASSERT_OK_AND_ASSIGN(const Log log, Open());
  EXPECT_THAT(Open(), FailsWith(ErrorCode::kBusy));
}

TEST_F(DirectoryStorageTest, WithoutAFolderThereIsNoLog) {
  EXPECT_THAT(OpenDirectory(folder_.File("none")), FailsWith(ErrorCode::kIo));
}

// What `work` exits with in a process of its own; -1 when that was killed.
int ExitCodeOf(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr int kCannotMount = 77;

bool WriteText(const char* path, const std::string& text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

// For this process alone. Users who are not root are so in a namespace of their own.
bool MayMount() {
  if (geteuid() == 0) return unshare(CLONE_NEWNS) == 0;
  const std::string uid = std::to_string(geteuid());
  const std::string gid = std::to_string(getegid());
  return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && WriteText("/proc/self/setgroups", "deny") &&
         WriteText("/proc/self/uid_map", "0 " + uid + " 1") &&
         WriteText("/proc/self/gid_map", "0 " + gid + " 1");
}

// Mounts a filesystem of 1 MiB on `folder`, for this process alone.
bool MountSmall(const std::string& folder) {
  return MayMount() && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("audit", folder.c_str(), "tmpfs", 0, "size=1m,mode=0700") == 0;
}

TEST_F(DirectoryStorageTest, OnAFullFilesystemEventsAreRefusedAndTheReserveServes) {
  const int code = ExitCodeOf([this] {
    if (!MountSmall(folder_.path())) return kCannotMount;
    Result<Log> log = Open();
    if (!log) return 1;
    const std::string ballast = folder_.File("ballast");
    std::ofstream(ballast) << std::string(400'000, 'x');
    Result<void> appended;
    while (appended) appended = log->Append(SomeEvent("a"));
    if (appended.error().code() != ErrorCode::kResourceExhausted) return 2;
    std::ofstream(folder_.File("more ballast")) << std::string(2'000'000, 'x');
    for (int i = 0; i < 100; ++i) {
      if (!log->AppendReserved(SomeEvent("end"))) return 3;
    }
    if (log->Append(SomeEvent("b"))) return 4;
    std::filesystem::remove(ballast);
    if (!log->Append(SomeEvent("c"))) return 5;
    std::filesystem::remove(folder_.File("more ballast"));
    const std::string text = Contents();
    if (VerifyText(text, {.keys = {}, .head = log->head()}).fault) return 6;
    const bool told = text.find("audit.full") < text.find("audit.space");
    return told && text.find("audit.space") != std::string::npos ? 0 : 7;
  });
  if (code == kCannotMount) GTEST_SKIP() << "this system lets users mount nothing";
  EXPECT_EQ(code, 0);
}

// Here a write fails for which disk space was set aside.
TEST_F(DirectoryStorageTest, AtALimitOfFileSizesThereIsNoHalfLine) {
  const int code = ExitCodeOf([this] {
    const rlimit limit{50'000, 50'000};
    if (std::signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    Result<Log> log = Log::Open(folder_.path(), clock_, rng_, {});
    if (!log) return 2;
    Result<void> appended;
    while (appended) appended = log->Append(SomeEvent("a"));
    return appended.error().code() == ErrorCode::kResourceExhausted ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
  const std::string text = Contents();
  EXPECT_GT(text.size(), 50'000 - kMaxLine);
  EXPECT_THAT(VerifyText(text, {}), IsValid());
}

}  // namespace
}  // namespace keyward::audit
