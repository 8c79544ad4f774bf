// A state to back up, and contents made of it.
#pragma once

#include <algorithm>

#include "core/encoding.h"
#include "keyd/backup/content.h"
#include "keyd/backup/restore.h"
#include "keyd/ed25519_seed.h"
#include "tests/support/matchers.h"

namespace keyward::testing_support {

class SampleBackup {
 public:
  SampleBackup() {
    manifest_.id = {1, 2, 3};
    manifest_.created = WallTime(std::chrono::milliseconds(1'750'000'000'123));
    manifest_.epoch = 42;
    manifest_.service = Bytes(32, 9);
    manifest_.host = "alpha";
    manifest_.keyd = "0.1.0";
    manifest_.master = "hsm";
    manifest_.state.peers = {{"far-away", PairOfSeed(Seed(77)).value().public_key.spki()}};
  }

  static SecretBytes Seed(uint8_t number) { return SecretBytes::CopyOf(Bytes(32, number)).value(); }
  static KeyId Id(uint8_t number) { return KeyId{number}; }

  // A sealed key whose versions are in `states`, the first with the number and id given; those that
  // can sign have a private half.
  SampleBackup& AddSealed(const std::string& name, uint8_t first_id,
                          const std::vector<VersionState>& states) {
    uint32_t number = 1;
    for (const VersionState state : states) {
      const auto at = static_cast<uint8_t>(first_id + number - 1);
      manifest_.state.versions.push_back({name,
                                          number++,
                                          Id(at),
                                          state,
                                          PairOfSeed(Seed(at)).value().public_key.spki(),
                                          {},
                                          WallTime(std::chrono::milliseconds(5))});
      if (backup::CanSign(manifest_.state.versions.back())) secrets_.emplace(Id(at), Seed(at));
    }
    manifest_.state.keys.push_back({name, Algorithm::kEd25519, Custody::kSealed, "hsm", number});
    return *this;
  }
  // The same of custody derived.
  SampleBackup& AddDerived(const std::string& name, uint8_t first_id,
                           const std::vector<VersionState>& states) {
    AddSealed(name, first_id, states);
    manifest_.state.keys.back().custody = Custody::kDerived;
    manifest_.state.keys.back().custodian.clear();
    return *this;
  }
  // Of custody hardware, in the custodian's hands under `reference`.
  SampleBackup& AddHardware(const std::string& name, uint8_t id, const GeneratedKey& made,
                            const std::string& custodian = "hsm") {
    manifest_.state.keys.push_back(
        {name, made.public_key.algorithm(), Custody::kHardware, custodian, 2});
    manifest_.state.versions.push_back({name, 1, Id(id), VersionState::kActive,
                                        made.public_key.spki(), made.reference,
                                        WallTime(std::chrono::milliseconds(6))});
    return *this;
  }
  SampleBackup& AddModule(const std::string& name, const std::string& key) {
    manifest_.state.modules.push_back({name, key});
    return *this;
  }

  backup::Manifest& manifest() { return manifest_; }
  backup::Secrets& secrets() { return secrets_; }
  const SecretBytes& backup_key() const { return backup_key_; }
  static constexpr backup::HeaderDigest kHeader = {5, 5, 5};

  // `sign`: gives the seal for a digest.
  using Sign = std::function<backup::Seal(const backup::BackupDigest&)>;
  Result<Bytes> Write(const Sign& sign = [](const auto&) { return backup::Seal(); }) {
    Bytes out;
    const backup::Sink sink = [&out](ByteView bytes) -> Result<void> {
      Append(out, bytes);
      return {};
    };
    KEYWARD_ASSIGN(backup::ContentWriter writer, backup::ContentWriter::Create(rng_));
    KEYWARD_ASSIGN(digest_, writer.WriteBody(manifest_, secrets_, kHeader, sink));
    KEYWARD_ASSIGN(const backup::BackupDigest origin, backup::OriginOf(digest_, backup_key_));
    KEYWARD_TRY(writer.WriteTrailer(origin, sign(digest_), sink));
    return out;
  }
  const backup::BackupDigest& digest() const { return digest_; }

  static Result<backup::Content> Read(ByteView bytes,
                                      const backup::HeaderDigest& header = kHeader) {
    Reader in(bytes);
    KEYWARD_ASSIGN(backup::Content content,
                   backup::ReadContent(header, [&in](MutableBytes out) -> Result<void> {
                     KEYWARD_ASSIGN(const ByteView piece, in.Raw(out.size()));
                     std::ranges::copy(piece, out.begin());
                     return {};
                   }));
    KEYWARD_TRY(in.End());
    return content;
  }
  Result<backup::Content> Content() {
    KEYWARD_ASSIGN(const Bytes bytes, Write());
    return Read(bytes);
  }

 private:
  SystemRng rng_;
  backup::Manifest manifest_{};
  backup::Secrets secrets_;
  SecretBytes backup_key_ = Seed(200);
  backup::BackupDigest digest_{};
};

}  // namespace keyward::testing_support
