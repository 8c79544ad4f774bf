// Where secrets live: pages that no core dump, fork, swap or other process can read.
//
// Pages come from memfd_secret(2), which takes them out of the kernel's own map; where the kernel
// has none, from locked anonymous pages. Either way MADV_DONTDUMP and MADV_DONTFORK. Small secrets
// share pages in slots of a power of two, because locked memory is scarce (8 MiB without
// CAP_IPC_LOCK).
#pragma once

#include "core/bytes.h"
#include "core/result.h"

namespace keyward {

enum class SecretMemoryKind : uint8_t { kMemfdSecret, kLockedPages };

// The largest secret, in bytes.
inline constexpr size_t kMaxSecretSize = size_t{64} * 1024;

struct SecretMemoryUse {
  SecretMemoryKind kind;
  size_t reserved;  // bytes taken from the kernel
  size_t used;      // bytes in slots that hold a secret
};

// The process-wide pool, as the heap is. Any thread may call.
//
// AllocateSecret: a zero-filled slot of at least `size` bytes (1..kMaxSecretSize).
// Errors: kTooLarge; kResourceExhausted when no more memory can be locked.
Result<MutableBytes> AllocateSecret(size_t size);
// Wipes the slot and gives it back. `slot` is exactly what AllocateSecret returned.
void FreeSecret(MutableBytes slot) noexcept;
SecretMemoryUse GetSecretMemoryUse();
// Makes sure that at least one page can be had; for start-up, so that a host without lockable
// memory is told before it holds a key. Errors: kResourceExhausted.
Result<SecretMemoryKind> ProbeSecretMemory();

}  // namespace keyward
