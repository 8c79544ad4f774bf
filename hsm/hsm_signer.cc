#include "hsm/hsm_signer.h"

#include <algorithm>
#include <array>

#include "hsm/destroy.h"
#include "hsm/ec_point.h"

namespace keyward::hsm {
namespace {

struct Curve {
  Algorithm algorithm;
  CK_MECHANISM_TYPE generate;
  CK_MECHANISM_TYPE sign;
  CK_ULONG bits;
};

constexpr std::array kCurves = {
    Curve{Algorithm::kEd25519, CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA, 255},
    Curve{Algorithm::kEcdsaP256, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, 256},
    Curve{Algorithm::kEcdsaP384, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, 384},
};

const Curve* Find(Algorithm algorithm) {
  const auto* const found = std::ranges::find(kCurves, algorithm, &Curve::algorithm);
  return found == kCurves.end() ? nullptr : found;
}

Result<KeyId> Parse(const KeyReference& reference) {
  KeyId id{};
  if (reference.size() != id.size()) {
    return Fail(ErrorCode::kDataCorrupt, "the key was not made by an HSM");
  }
  std::ranges::copy(reference, id.begin());
  return id;
}

Result<Algorithm> AlgorithmOf(const Session& session, CK_OBJECT_HANDLE private_half) {
  KEYWARD_ASSIGN(const Bytes parameters, session.Attribute(private_half, CKA_EC_PARAMS));
  return AlgorithmOfCurve(parameters);
}

Result<Bytes> SignWith(const Session& session, Algorithm algorithm, CK_OBJECT_HANDLE key,
                       ByteView message) {
  if (algorithm == Algorithm::kEd25519) return session.Sign(CKM_EDDSA, key, message);
  KEYWARD_ASSIGN(const Bytes digest, DigestForSigning(algorithm, message));
  KEYWARD_ASSIGN(const Bytes raw, session.Sign(CKM_ECDSA, key, digest));
  return EcdsaSignatureToDer(raw);
}

Result<PublicKey> MakePair(const Session& session, const Curve& curve, const KeyId& id) {
  KEYWARD_ASSIGN(
      const KeyPairHandles pair,
      session.GenerateKeyPair(curve.generate, PublicHalf(curve.algorithm, id), PrivateHalf(id)));
  KEYWARD_ASSIGN(const Bytes point, session.Attribute(pair.public_half, CKA_EC_POINT));
  KEYWARD_ASSIGN(PublicKey public_key, PublicKeyOfPoint(curve.algorithm, point));
  // Tokens can be killed half-way through and leave a private half that cannot sign.
  const ByteView probe = AsBytes("keyward: the first signature of a key");
  KEYWARD_ASSIGN(const Bytes signature,
                 SignWith(session, curve.algorithm, pair.private_half, probe));
  if (!public_key.Verify(probe, signature)) {
    return Fail(ErrorCode::kCustodianUnavailable, "the HSM token made a key that does not work");
  }
  return public_key;
}

Result<std::vector<CK_OBJECT_HANDLE>> BothHalves(const Session& session, const KeyId& id) {
  KEYWARD_ASSIGN(std::vector<CK_OBJECT_HANDLE> halves, session.Find(FindById(CKO_PRIVATE_KEY, id)));
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> more,
                 session.Find(FindById(CKO_PUBLIC_KEY, id)));
  halves.insert(halves.end(), more.begin(), more.end());
  return halves;
}

}  // namespace

Result<std::vector<Algorithm>> HsmSigner::AlgorithmsOf(const Session& session) {
  std::vector<Algorithm> algorithms;
  for (const Curve& curve : kCurves) {
    KEYWARD_ASSIGN(const auto generate, session.Mechanism(curve.generate));
    KEYWARD_ASSIGN(const auto sign, session.Mechanism(curve.sign));
    if (!generate || !sign) continue;
    // Only Weierstrass curves are told apart by size: tokens say 255 or 256 bits for Ed25519.
    const bool fits = curve.bits >= sign->ulMinKeySize && curve.bits <= sign->ulMaxKeySize;
    if (fits || curve.algorithm == Algorithm::kEd25519) algorithms.push_back(curve.algorithm);
  }
  return algorithms;
}

Result<GeneratedKey> HsmSigner::GenerateKey(Algorithm algorithm, const KeyId& id) {
  const Curve* curve = Find(algorithm);
  if (curve == nullptr || std::ranges::find(algorithms_, algorithm) == algorithms_.end()) {
    return Fail(ErrorCode::kNotSupported, "the HSM token does not have this algorithm");
  }
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> existing,
                 link_.Run([&](const Session& session) { return BothHalves(session, id); }));
  if (!existing.empty()) return Fail(ErrorCode::kAlreadyExists, "the key exists already");
  const Result<PublicKey> made =
      link_.RunOnce([&](const Session& session) { return MakePair(session, *curve, id); });
  if (made) return GeneratedKey{KeyReference(id.begin(), id.end()), *made};
  // If the token is gone this fails too, and DestroyUnrecorded does it later.
  if (const Result<void> swept = Destroy(id); !swept) {
    return Fail(
        Error(made.error()).WithCause(made.error().cause() + "; then " + swept.error().cause()));
  }
  return Fail(made.error());
}

Result<HsmSigner::PrivateKey> HsmSigner::Lookup(const Session& session, const KeyId& id) {
  if (cache_epoch_ != link_.epoch()) cache_.clear();
  cache_epoch_ = link_.epoch();
  if (const auto cached = cache_.find(id); cached != cache_.end()) return cached->second;
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindSigningKey(id)));
  if (found.empty()) return Fail(ErrorCode::kNotFound, "the HSM token holds no such key");
  if (found.size() > 1) {
    return Fail(ErrorCode::kDataCorrupt, "the HSM token holds two keys under one name");
  }
  KEYWARD_ASSIGN(const Algorithm algorithm, AlgorithmOf(session, found.front()));
  return cache_.emplace(id, PrivateKey{found.front(), algorithm}).first->second;
}

Result<Bytes> HsmSigner::SignOn(const Session& session, const KeyId& id, ByteView message) {
  KEYWARD_ASSIGN(const PrivateKey key, Lookup(session, id));
  return SignWith(session, key.algorithm, key.handle, message);
}

Result<Bytes> HsmSigner::Sign(const KeyReference& reference, ByteView message) {
  KEYWARD_ASSIGN(const KeyId id, Parse(reference));
  return link_.Run([&](const Session& session) {
    Result<Bytes> signature = SignOn(session, id, message);
    if (signature || signature.error().code() != ErrorCode::kNotFound) return signature;
    // The handle went stale, or the token away: a lookup tells.
    cache_.erase(id);
    return SignOn(session, id, message);
  });
}

Result<void> HsmSigner::Destroy(const KeyId& id) {
  cache_.erase(id);
  const auto find = [&](const Session& session) { return BothHalves(session, id); };
  return link_.Run([&](const Session& session) { return DestroyFound(session, find); });
}

Result<void> HsmSigner::DestroyKey(const KeyReference& reference) {
  KEYWARD_ASSIGN(const KeyId id, Parse(reference));
  return Destroy(id);
}

Result<void> HsmSigner::DestroyUnrecorded(std::span<const KeyId> announced) {
  for (const KeyId& id : announced) KEYWARD_TRY(Destroy(id));
  return {};
}

// Past the cache, whose handles a token that is initialised anew leaves as they were.
Result<bool> HsmSigner::Holds(const KeyReference& reference) {
  KEYWARD_ASSIGN(const KeyId id, Parse(reference));
  return link_.Run([&](const Session& session) -> Result<bool> {
    KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindSigningKey(id)));
    return !found.empty();
  });
}

}  // namespace keyward::hsm
