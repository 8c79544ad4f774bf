// A custodian in memory, for tests of what stands on custodians.
#pragma once

#include <openssl/evp.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "core/custodian.h"
#include "core/openssl_ptr.h"

namespace keyward::fakes {

// The make-believe hardware. Any thread may call; it outlives its custodians. Offers all four
// algorithms. Its keys are ordinary memory: it protects nothing.
class FakeHardware {
 public:
  FakeHardware();

  // Errors: kCustodianUnavailable while it is not available.
  Result<std::unique_ptr<Custodian>> Make();
  // While false, every call of every custodian on it fails with kCustodianUnavailable.
  void SetAvailable(bool available) { available_ = available; }
  // What every custodian on it notes from its next health check on.
  void SetNotes(HardwareNotes notes);
  HardwareNotes Notes() const;
  size_t KeyCount() const;
  size_t MasterCount() const;

 private:
  friend class FakeSigner;
  friend class FakeSealer;
  friend class FakeCounter;
  friend class FakeMasterSealer;
  friend class FakeCustodian;
  using PkeyPtr = OsslPtr<EVP_PKEY, EVP_PKEY_free>;

  Result<void> CheckAvailable() const;

  std::atomic<bool> available_ = true;
  mutable std::mutex mutex_;
  std::map<KeyId, std::pair<Algorithm, PkeyPtr>> keys_;
  std::map<KeyId, uint64_t> counters_;
  std::set<KeyId> masters_;
  Bytes wrapping_key_;
  HardwareNotes notes_;
};

}  // namespace keyward::fakes
