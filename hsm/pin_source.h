// Where the PIN comes from.
#pragma once

#include <string>

#include "core/result.h"
#include "core/secret_bytes.h"
#include "hsm/hsm_factory.h"

namespace keyward::hsm {

struct Pin {
  SecretBytes secret;
  // Inode, size and time of change of the file, read from the descriptor that the PIN was read
  // from: equal for as long as nobody wrote the file. No secret.
  std::string file_identity;
};

// Errors: kConfiguration; see HsmOptions. kResourceExhausted.
Result<Pin> ReadPin(const HsmOptions& options);

}  // namespace keyward::hsm
