// A small piece of a TPM's non-volatile memory.
//
// All of ours are ordinary or counter indices in the range that the TCG's "Registry of Reserved TPM
// 2.0 Handles" leaves to the owner, made and removed with the owner hierarchy's empty password.
// None is subject to the dictionary-attack protection (NO_DA), so that no failure here can lock a
// TPM.
//
// Wear: NV memory is made for some hundred thousand writes. Each of Define, Undefine, Increment,
// Write and LockForGood is one write or a few; Find and Read write nothing. Elsewhere in this room
// nothing writes NV but TPM2_Shutdown, at the end of a connection that is direct().
#pragma once

#include <optional>

#include "core/key_id.h"
#include "tpm/esys_ptr.h"
#include "tpm/link.h"

namespace keyward::tpm {

enum class NvUse : uint8_t { kCounter, kMaster };

// 0x01800000 and 22 bits of a hash of the id, so that the id is enough to find the index again. The
// two uses of one id differ in the highest of the 22.
TPM2_HANDLE NvHandleOf(const KeyId& id, NvUse use);

// Equal in all but the bits in which the TPM notes what became of an index (WRITTEN, WRITELOCKED).
bool IsMadeFrom(const TPMS_NV_PUBLIC& area, const TPMS_NV_PUBLIC& wanted);

// nameAlg || H(marshalled public area); SHA-256 only. Errors: kMalformed.
Result<Bytes> NameOf(const TPMS_NV_PUBLIC& area);

// Holds until its link ends. Errors of every function: kCustodianUnavailable, kPinRejected (the
// owner hierarchy has a password), kCustodianBusy, kAuthenticationFailed (wrong authorization
// value, or an answer that does not hold together).
class NvIndex {
 public:
  // The index at `handle`, or nothing. That there is none nobody vouches for; what there is, the
  // TPM itself does: its public area comes in the salted session.
  static Result<std::optional<NvIndex>> Find(Link& link, TPM2_HANDLE handle);
  // `auth` (at most 32 bytes) travels encrypted. Errors: kAlreadyExists, kResourceExhausted.
  static Result<NvIndex> Define(Link& link, const TPMS_NV_PUBLIC& wanted, ByteView auth);

  const TPMS_NV_PUBLIC& area() const { return area_; }
  bool written() const { return (area_.attributes & TPMA_NV_WRITTEN) != 0; }

  // What the functions below, for an index that was found, authorise themselves with.
  Result<void> UseAuth(ByteView auth);
  Result<void> Increment();
  // All of it, encrypted on its way. Leaves no copy of `data`.
  Result<void> Write(ByteView data);
  // Until it is undefined; takes the attribute WRITEDEFINE.
  Result<void> LockForGood();
  // All of it, authorised by the index's authorization value. Takes the attribute AUTHREAD.
  Result<EsysPtr<TPM2B_MAX_NV_BUFFER>> Read();
  // All of it, authorised by a policy session, and encrypted on its way. Leaves no copy. Errors:
  // kPcrMismatch (the policy is not satisfied, or not any more), kResourceExhausted.
  Result<SecretBytes> ReadSecret(const EsysSession& policy);
  // After it this object is of no more use.
  Result<void> Undefine();

 private:
  NvIndex(Link& link, EsysHandle handle, const TPMS_NV_PUBLIC& area)
      : link_(&link), handle_(std::move(handle)), area_(area) {}

  // Whatever the TPM gives.
  Outcome ReadInto(EsysPtr<TPM2B_MAX_NV_BUFFER>& data, ESYS_TR authorization, ESYS_TR encryption);
  Result<void> CheckWhole(size_t size) const;

  Link* link_;
  EsysHandle handle_;
  TPMS_NV_PUBLIC area_;
};

}  // namespace keyward::tpm
