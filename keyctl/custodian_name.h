// A custodian, as a sentence has it.
#pragma once

#include <string>

namespace keyward::keyctl {

// "TPM" for "tpm", "HSM" for "hsm".
inline const char* Upper(const std::string& custodian) {
  return custodian == "tpm" ? "TPM" : "HSM";
}

}  // namespace keyward::keyctl
