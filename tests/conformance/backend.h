// What the conformance suite needs of a kind of custodian. A kind is one file, <name>_backend.cc,
// with a Backend and a registration:
//
//   const RegisterBackend kRegistration("SoftHsm", [] { return std::make_unique<SoftHsmBackend>();
//   });
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/custodian.h"

namespace keyward::conformance {

// One token, TPM or fake with what it runs on, from its making to its end. One at a time; it
// outlives its custodians.
class Backend {
 public:
  virtual ~Backend() = default;

  // A custodian for the calling thread.
  virtual Result<std::unique_ptr<Custodian>> Make() = 0;
  // The hardware vanishes without a word, and comes back as it was.
  virtual void TakeAway() = 0;
  virtual void BringBack() = 0;
  // How many custodians it serves at the same time.
  virtual size_t MaxCustodians() const = 0;
  // Whether a key stays in the hardware. If not, its reference is the key itself, wrapped, and
  // goes with the record that holds it.
  virtual bool HoldsKeys() const = 0;
};

struct BackendKind {
  std::string name;  // letters and digits
  std::function<std::unique_ptr<Backend>()> start;
};

inline void PrintTo(const BackendKind& kind, std::ostream* out) { *out << kind.name; }

std::vector<BackendKind>& BackendKinds();

class RegisterBackend {
 public:
  RegisterBackend(std::string name, std::function<std::unique_ptr<Backend>()> start) {
    BackendKinds().push_back({std::move(name), std::move(start)});
  }
};

}  // namespace keyward::conformance
