#include "keyctl/backup_changes.h"

#include <fmt/format.h>

#include <map>

#include "core/encoding.h"
#include "core/public_key.h"
#include "policy/name_rules.h"

namespace keyward::keyctl {
namespace {

struct VersionFacts {
  std::string state;
  std::string fingerprint;
};
using VersionName = std::pair<std::string, uint32_t>;  // of its key, number
using Versions = std::map<VersionName, VersionFacts>;
using Identities = std::map<std::string, std::string>;

Versions VersionsIn(const BackupReport& report) {
  Versions versions;
  for (const ReportedKey& key : report.keys) {
    if (key.name == policy::kServiceKeyName) continue;
    for (const ReportedVersion& version : key.versions) {
      versions[{key.name, version.number}] = {version.state, version.fingerprint};
    }
  }
  return versions;
}

Result<Versions> VersionsNow(AdminClient& admin) {
  Versions versions;
  KEYWARD_ASSIGN(const std::vector<KeySummary> keys, admin.ListKeys());
  for (const KeySummary& key : keys) {
    if (key.name == policy::kServiceKeyName) continue;
    KEYWARD_ASSIGN(const KeyDetails details, admin.DescribeKey(key.name));
    for (const VersionSummary& version : details.versions) {
      const Result<PublicKey> public_key = PublicKey::FromSpki(version.spki);
      versions[{key.name, version.number}] = {
          version.state, public_key ? ToHex(public_key->Fingerprint()) : std::string()};
    }
  }
  return versions;
}

Identities ToMap(const std::vector<ReportedIdentity>& identities) {
  Identities map;
  for (const ReportedIdentity& each : identities) map[each.name] = each.identity;
  return map;
}

std::vector<std::string> Compare(const Versions& then, const Versions& now) {
  std::vector<std::string> changes;
  for (const auto& [name, version] : now) {
    const std::string what = fmt::format("key '{}' version {}", name.first, name.second);
    const auto before = then.find(name);
    if (before == then.end()) {
      changes.push_back(what + " was made");
    } else if (before->second.fingerprint != version.fingerprint) {
      changes.push_back(what + " is another key");
    } else if (before->second.state != version.state) {
      changes.push_back(fmt::format("{} is {}; in the backup it is {}", what, version.state,
                                    before->second.state));
    }
  }
  for (const auto& [name, version] : then) {
    // keyd no longer lists a key that was destroyed whole.
    if (now.contains(name) || version.state == "destroyed") continue;
    changes.push_back(fmt::format("key '{}' version {} is gone", name.first, name.second));
  }
  return changes;
}

void Compare(const std::string& what, const Identities& then, const Identities& now,
             std::vector<std::string>& changes) {
  for (const auto& [name, identity] : now) {
    const auto before = then.find(name);
    if (before != then.end() && before->second == identity) continue;
    changes.push_back(fmt::format("{} '{}' was enrolled", what, name));
  }
  for (const auto& [name, identity] : then) {
    if (!now.contains(name)) changes.push_back(fmt::format("{} '{}' was removed", what, name));
  }
}

}  // namespace

Result<std::vector<std::string>> ChangesSince(const BackupReport& report, AdminClient& admin) {
  KEYWARD_ASSIGN(const Versions now, VersionsNow(admin));
  KEYWARD_ASSIGN(const std::vector<ModuleSummary> enrolled, admin.ListModules());
  Identities modules;
  Identities peers;
  for (const ModuleSummary& each : enrolled) {
    if (each.kind == "peer") {
      peers[each.name] = each.fingerprint;
    } else if (!each.key.empty()) {
      modules[each.name] = each.key;
    }
  }
  std::vector<std::string> changes = Compare(VersionsIn(report), now);
  Compare("module", ToMap(report.modules), modules, changes);
  Compare("peer", ToMap(report.peers), peers, changes);
  return changes;
}

}  // namespace keyward::keyctl
