// Counters in a PKCS#11 token, which has none of its own.
#pragma once

#include <vector>

#include "core/counter.h"
#include "hsm/link.h"

namespace keyward::hsm {

// A value of a counter is a private data object: CKA_APPLICATION "keyward", CKA_LABEL
// "keyward:counter:<id in hex>", CKA_VALUE id (16 bytes) | value (8). No object is ever written
// twice, because SoftHSM rewrites files in place and a kill in the middle leaves one of no bytes:
// Increment makes an object with the next value, finds it again, and only then destroys the older
// ones. The counter stands at the highest value that is found; an object whose value is of another
// form is passed over. So a kill at any point never takes back a value that was given; what it
// leaves of an object half made bears no name and counts for nothing. A power cut is another
// matter: SoftHSM syncs none of its files.
//
// The threads of a process take turns. One process at a time may use a counter, as keyd does, which
// locks the state directory that the counter belongs to: SoftHSM does not tell a process what
// another one changed while it wrote itself, so that a second one could fail to find the counter.
// Processes with a counter each may share a token. What it is not: a defence against somebody who
// can log in to the token, or who can restore its files (SoftHSM).
class HsmCounter final : public Counter {
 public:
  // `link` must outlive the counter.
  explicit HsmCounter(Link& link) : link_(link) {}

  Result<uint64_t> Create(const KeyId& id) override;
  Result<uint64_t> Read(const KeyId& id) override;
  Result<uint64_t> Increment(const KeyId& id) override;
  Result<void> Destroy(const KeyId& id) override;

 private:
  // With the access's making mutex held.
  Result<uint64_t> ReadLocked(const KeyId& id);

  Link& link_;
};

}  // namespace keyward::hsm
