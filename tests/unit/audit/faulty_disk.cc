#include "tests/unit/audit/faulty_disk.h"

#include <algorithm>

namespace keyward::testing_support {
namespace {

std::unexpected<Error> NoSpace() { return Fail(ErrorCode::kResourceExhausted, "no space"); }

}  // namespace

class FaultyFile final : public audit::SegmentFile {
 public:
  FaultyFile(FaultyDisk& disk, uint64_t first_seq) : disk_(disk), first_seq_(first_seq) {}

  Result<size_t> Write(ByteView bytes) override {
    const bool half = disk_.TakeHalf();
    if (!half) KEYWARD_TRY(disk_.Operate());
    FaultyDisk::File& file = disk_.files_.at(first_seq_);
    const uint64_t beyond =
        file.allocated - std::min<uint64_t>(file.allocated, file.contents.size());
    const uint64_t free = disk_.capacity_ - std::min(disk_.capacity_, disk_.Used());
    const size_t fits = free > bytes.size() ? bytes.size() : std::min(bytes.size(), beyond + free);
    if (fits == 0) return NoSpace();
    const size_t taken = half ? std::max<size_t>(fits / 2, 1) : fits;
    file.contents += AsText(bytes.first(taken));
    return taken;
  }
  Result<void> Sync() override {
    KEYWARD_TRY(disk_.Operate());
    FaultyDisk::File& file = disk_.files_.at(first_seq_);
    file.synced = file.contents;
    return {};
  }
  Result<void> Truncate(uint64_t size) override {
    KEYWARD_TRY(disk_.Operate());
    FaultyDisk::File& file = disk_.files_.at(first_seq_);
    file.contents.resize(size);
    file.allocated = size;
    return {};
  }
  Result<void> Allocate(uint64_t end) override {
    KEYWARD_TRY(disk_.Operate());
    FaultyDisk::File& file = disk_.files_.at(first_seq_);
    const uint64_t has = std::max<uint64_t>(file.allocated, file.contents.size());
    if (end <= has) return {};
    if (disk_.capacity_ - std::min(disk_.capacity_, disk_.Used()) < end - has) return NoSpace();
    file.allocated = end;
    return {};
  }

 private:
  FaultyDisk& disk_;
  uint64_t first_seq_;
};

class FaultyStorage final : public audit::Storage {
 public:
  explicit FaultyStorage(FaultyDisk& disk) : disk_(disk) {}

  Result<std::vector<Entry>> List() override {
    std::vector<Entry> entries;
    entries.reserve(disk_.files_.size());
    for (const auto& [first_seq, file] : disk_.files_) {
      entries.push_back({first_seq, file.contents.size()});
    }
    return entries;
  }
  Result<std::string> Read(uint64_t first_seq, uint64_t offset, size_t size) override {
    return disk_.files_.at(first_seq).contents.substr(offset, size);
  }
  Result<std::unique_ptr<audit::SegmentFile>> Create(uint64_t first_seq) override {
    KEYWARD_TRY(disk_.Operate());
    if (!disk_.files_[first_seq].contents.empty()) return Fail(ErrorCode::kIo, "exists");
    return std::make_unique<FaultyFile>(disk_, first_seq);
  }
  Result<std::unique_ptr<audit::SegmentFile>> Append(uint64_t first_seq) override {
    return std::make_unique<FaultyFile>(disk_, first_seq);
  }
  Result<void> Remove(uint64_t first_seq) override {
    KEYWARD_TRY(disk_.Operate());
    disk_.files_.erase(first_seq);
    return {};
  }

 private:
  FaultyDisk& disk_;
};

std::unique_ptr<audit::Storage> FaultyDisk::Open() {
  return std::make_unique<FaultyStorage>(*this);
}

void FaultyDisk::FailAfter(size_t count, Fault fault) {
  until_fault_ = count;
  fault_ = fault;
}

Result<void> FaultyDisk::Operate() {
  if (!power_) return Fail(ErrorCode::kIo, "no power");
  ++operations_;
  if (!fault_ || until_fault_-- > 0) return {};
  const Fault fault = *fault_;
  fault_.reset();
  power_ = fault != Fault::kPowerCut;
  if (fault == Fault::kNoSpace) return NoSpace();
  return Fail(ErrorCode::kIo, "told to fail");
}

bool FaultyDisk::TakeHalf() {
  if (fault_ != Fault::kHalfWrite || until_fault_ > 0) return false;
  fault_ = Fault::kIo;
  return true;
}

uint64_t FaultyDisk::Used() const {
  uint64_t used = 0;
  for (const auto& [first_seq, file] : files_) {
    used += std::max<uint64_t>(file.contents.size(), file.allocated);
  }
  return used;
}

void FaultyDisk::Restart(size_t kept) {
  power_ = true;
  fault_.reset();
  for (auto& [first_seq, file] : files_) {
    if (file.contents.starts_with(file.synced)) {
      file.contents.resize(std::min(file.contents.size(), file.synced.size() + kept));
    } else {
      file.contents = file.synced;  // what was cut off came back
    }
    file.synced = file.contents;
  }
}

std::string FaultyDisk::Contents() const {
  std::string all;
  for (const auto& [first_seq, file] : files_) all += file.contents;
  return all;
}

}  // namespace keyward::testing_support
