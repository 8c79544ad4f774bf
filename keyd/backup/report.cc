#include "keyd/backup/report.h"

#include <map>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/public_key.h"

namespace keyward::backup {
namespace {

using Json = nlohmann::ordered_json;

std::string FingerprintOf(const Bytes& spki) {
  const Result<PublicKey> key = PublicKey::FromSpki(spki);
  return key ? ToHex(key->Fingerprint()) : std::string();
}

Json VersionJson(const VersionRecord& version, const Secrets& secrets) {
  return {{"number", version.number},
          {"state", Name(version.state)},
          {"fingerprint", FingerprintOf(version.spki)},
          {"private_half", secrets.contains(version.id)}};
}

Json KeysJson(const Content& content) {
  std::map<std::string, Json> versions;
  for (const VersionRecord& version : content.manifest.state.versions) {
    versions.try_emplace(version.key, Json::array())
        .first->second.push_back(VersionJson(version, content.secrets));
  }
  Json keys = Json::array();
  for (const KeyRecord& key : content.manifest.state.keys) {
    keys.push_back({{"name", key.name},
                    {"algorithm", Name(key.algorithm)},
                    {"custody", Name(key.custody)},
                    {"custodian", key.custodian},
                    {"versions", versions[key.name]}});
  }
  return keys;
}

Json ModulesJson(const std::vector<ModuleRecord>& modules) {
  Json all = Json::array();
  for (const ModuleRecord& module : modules) {
    all.push_back({{"name", module.name}, {"key", module.key}});
  }
  return all;
}

Json PeersJson(const std::vector<PeerRecord>& peers) {
  Json all = Json::array();
  for (const PeerRecord& peer : peers) {
    all.push_back({{"name", peer.name}, {"fingerprint", FingerprintOf(peer.spki)}});
  }
  return all;
}

Json RestorationJson(const Restoration& restoration) {
  Json sealed = Json::array();
  for (const KeyRecord& key : restoration.state.keys) {
    sealed.push_back(
        {{"name", key.name}, {"custody", Name(key.custody)}, {"custodian", key.custodian}});
  }
  Json left_out = Json::array();
  for (const VersionRecord& version : restoration.left_out) {
    left_out.push_back({{"name", version.key},
                        {"version", version.number},
                        {"fingerprint", FingerprintOf(version.spki)}});
  }
  return {{"keys", sealed},
          {"left_out", left_out},
          {"unenrolled", ModulesJson(restoration.unenrolled)}};
}

}  // namespace

std::string ReportOf(const Content& content, const Restoration* restoration) {
  const Manifest& manifest = content.manifest;
  Json report = {
      {"id", ToHex(manifest.id)},
      {"created_ms", manifest.created.time_since_epoch().count()},
      {"service", ToHex(manifest.service)},
      {"host", manifest.host},
      {"keyd", manifest.keyd},
      {"master", manifest.master},
      {"epoch", manifest.epoch},
      {"digest", ToHex(content.digest)},
      {"origin", ToHex(content.origin)},
      {"signed_by", content.seal.signer.empty() ? "" : FingerprintOf(content.seal.signer)},
      {"keys", KeysJson(content)},
      {"modules", ModulesJson(manifest.state.modules)},
      {"peers", PeersJson(manifest.state.peers)}};
  if (restoration != nullptr) report["restored"] = RestorationJson(*restoration);
  // Names are ASCII; what a stranger has written as host or version need not be text.
  return report.dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace keyward::backup
