// The names of what keys can do and where they can be.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward {

enum class Algorithm : uint8_t {
  kEd25519 = 1,     // RFC 8032
  kEcdsaP256 = 2,   // FIPS 186-5 with SHA-256
  kEcdsaP384 = 3,   // FIPS 186-5 with SHA-384
  kRsaPss2048 = 4,  // RFC 8017 RSASSA-PSS, SHA-256, MGF1-SHA-256, salt 32
};

// Where the private half may be.
enum class Custody : uint8_t {
  kHardware = 1,  // made in the TPM or HSM, never leaves it
  kSealed = 2,    // wrapped by the TPM or HSM, in secret memory while in use
  kDerived = 3,   // made of the master key, in secret memory while in use; has no custodian
};

// "ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-pss-2048"; these are D-Bus and command-line values.
std::string_view Name(Algorithm algorithm);
std::optional<Algorithm> AlgorithmFromName(std::string_view name);
// "hardware", "sealed", "derived"
std::string_view Name(Custody custody);
std::optional<Custody> CustodyFromName(std::string_view name);

}  // namespace keyward
