#include "core/secret_memory.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace keyward {
namespace {

constexpr size_t kMinSlot = 32;
constexpr size_t kChunk = size_t{64} * 1024;  // what is asked of the kernel at a time
constexpr size_t kClasses = std::bit_width(kMaxSecretSize / kMinSlot);

size_t ClassOf(size_t size) {
  return static_cast<size_t>(std::bit_width(std::bit_ceil(std::max(size, kMinSlot)) / kMinSlot)) -
         1;
}

size_t SlotSize(size_t size_class) { return kMinSlot << size_class; }

// A mapping of `kChunk` bytes from memfd_secret, or nullptr.
void* MapMemfdSecret() {
  const long fd = syscall(SYS_memfd_secret, O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* pages = MAP_FAILED;
  if (ftruncate(static_cast<int>(fd), kChunk) == 0) {
    pages = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
  }
  close(static_cast<int>(fd));
  if (pages == MAP_FAILED) return nullptr;
  // mmap has charged the limit on locked memory; writing takes the pages now rather than on use.
  sodium_memzero(pages, kChunk);
  return pages;
}

void* MapLockedPages() {
  void* pages = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  if (mlock(pages, kChunk) != 0) {
    munmap(pages, kChunk);
    return nullptr;
  }
  return pages;
}

class Pool {
 public:
  Result<MutableBytes> Allocate(size_t size) {
    if (size == 0 || size > kMaxSecretSize) {
      return Fail(ErrorCode::kTooLarge, "a secret is 1 to 65536 bytes long");
    }
    const size_t size_class = ClassOf(size);
    const std::lock_guard lock(mutex_);
    if (free_[size_class].empty()) KEYWARD_TRY(Grow(size_class));
    uint8_t* slot = free_[size_class].back();
    free_[size_class].pop_back();
    use_.used += SlotSize(size_class);
    return MutableBytes(slot, size);
  }

  void Free(MutableBytes slot) noexcept {
    const size_t size_class = ClassOf(slot.size());
    sodium_memzero(slot.data(), SlotSize(size_class));
    const std::lock_guard lock(mutex_);
    free_[size_class].push_back(slot.data());  // Grow reserved the room: this cannot throw
    use_.used -= SlotSize(size_class);
  }

  SecretMemoryUse Use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

 private:
  Result<void> Grow(size_t size_class) {
    void* pages = use_.kind == SecretMemoryKind::kMemfdSecret ? MapMemfdSecret() : nullptr;
    if (pages == nullptr && use_.reserved == 0) use_.kind = SecretMemoryKind::kLockedPages;
    if (pages == nullptr && use_.kind == SecretMemoryKind::kLockedPages) pages = MapLockedPages();
    if (pages == nullptr) {
      return Fail(
          ErrorCode::kResourceExhausted,
          "no more memory can be locked for secrets: raise keyd's LimitMEMLOCK= (ulimit -l)");
    }
    if (madvise(pages, kChunk, MADV_DONTDUMP) != 0 || madvise(pages, kChunk, MADV_DONTFORK) != 0) {
      const int error = errno;
      munmap(pages, kChunk);
      return Fail(Error(ErrorCode::kResourceExhausted, "memory for secrets cannot be protected")
                      .WithCause(std::strerror(error)));
    }
    use_.reserved += kChunk;
    total_[size_class] += kChunk / SlotSize(size_class);
    free_[size_class].reserve(total_[size_class]);
    auto* bytes = static_cast<uint8_t*>(pages);
    for (size_t at = kChunk; at > 0; at -= SlotSize(size_class)) {
      free_[size_class].push_back(bytes + at - SlotSize(size_class));
    }
    return {};
  }

  std::mutex mutex_;
  SecretMemoryUse use_{SecretMemoryKind::kMemfdSecret, 0, 0};
  std::array<std::vector<uint8_t*>, kClasses> free_;
  std::array<size_t, kClasses> total_{};
};

// Never destroyed: a secret in static storage may outlive every other static.
Pool& ProcessPool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

Result<MutableBytes> AllocateSecret(size_t size) { return ProcessPool().Allocate(size); }
void FreeSecret(MutableBytes slot) noexcept { ProcessPool().Free(slot); }
SecretMemoryUse GetSecretMemoryUse() { return ProcessPool().Use(); }

Result<SecretMemoryKind> ProbeSecretMemory() {
  KEYWARD_ASSIGN(const MutableBytes slot, AllocateSecret(1));
  FreeSecret(slot);
  return GetSecretMemoryUse().kind;
}

}  // namespace keyward
