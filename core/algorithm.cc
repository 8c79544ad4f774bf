#include "core/algorithm.h"

namespace keyward {

std::string_view Name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kEd25519:
      return "ed25519";
    case Algorithm::kEcdsaP256:
      return "ecdsa-p256";
    case Algorithm::kEcdsaP384:
      return "ecdsa-p384";
    case Algorithm::kRsaPss2048:
      return "rsa-pss-2048";
  }
  return "unknown";
}

std::optional<Algorithm> AlgorithmFromName(std::string_view name) {
  for (const Algorithm algorithm : {Algorithm::kEd25519, Algorithm::kEcdsaP256,
                                    Algorithm::kEcdsaP384, Algorithm::kRsaPss2048}) {
    if (Name(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

std::string_view Name(Custody custody) {
  switch (custody) {
    case Custody::kHardware:
      return "hardware";
    case Custody::kSealed:
      return "sealed";
    case Custody::kDerived:
      return "derived";
  }
  return "unknown";
}

std::optional<Custody> CustodyFromName(std::string_view name) {
  for (const Custody custody : {Custody::kHardware, Custody::kSealed, Custody::kDerived}) {
    if (Name(custody) == name) return custody;
  }
  return std::nullopt;
}

}  // namespace keyward
