#include "keyctl/backup_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/algorithm.h"
#include "core/encoding.h"
#include "keyctl/human.h"
#include "keyctl/table.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kShort = 16;  // hex digits that tell services and keys apart at a glance

Bytes HexField(const Json& object, const char* name) {
  return FromHex(object.at(name).get<std::string>()).value_or(Bytes());
}

ReportedKey KeyFrom(const Json& object) {
  ReportedKey key{object.at("name"), object.at("custody"), object.at("custodian"), {}};
  for (const Json& version : object.at("versions")) {
    key.versions.push_back({version.at("number"), version.at("state"), version.at("fingerprint"),
                            version.at("private_half")});
  }
  return key;
}

std::vector<ReportedIdentity> IdentitiesFrom(const Json& array, const char* identity) {
  std::vector<ReportedIdentity> identities;
  for (const Json& object : array) {
    identities.push_back({object.at("name"), object.at(identity)});
  }
  return identities;
}

Lost LostFrom(const Json& restored) {
  Lost lost;
  for (const Json& version : restored.at("left_out")) {
    lost.versions.push_back(fmt::format("{} version {} ({})", version.at("name").get<std::string>(),
                                        version.at("version").get<uint32_t>(),
                                        version.at("fingerprint").get<std::string>()));
  }
  for (const Json& module : restored.at("unenrolled")) lost.modules.push_back(module.at("name"));
  return lost;
}

BackupReport ReportFrom(Json json) {
  BackupReport report;
  report.id = json.at("id");
  report.service = json.at("service");
  report.host = json.at("host");
  report.keyd = json.at("keyd");
  report.created = WallTime(std::chrono::milliseconds(json.at("created_ms").get<int64_t>()));
  report.digest = HexField(json, "digest");
  report.origin = HexField(json, "origin");
  report.signed_by = json.at("signed_by");
  for (const Json& key : json.at("keys")) report.keys.push_back(KeyFrom(key));
  report.modules = IdentitiesFrom(json.at("modules"), "key");
  report.peers = IdentitiesFrom(json.at("peers"), "fingerprint");
  if (json.contains("restored")) report.lost = LostFrom(json.at("restored"));
  report.json = std::move(json);
  return report;
}

std::string DerivedKeys(const BackupReport& report) {
  std::string names;
  for (const ReportedKey& key : report.keys) {
    const bool held = std::ranges::any_of(key.versions, &ReportedVersion::has_private_half);
    if (key.custody != Name(Custody::kDerived) || !held) continue;
    names += (names.empty() ? "" : ", ") + key.name;
  }
  return names;
}

Cell HeldCell(const ReportedKey& key, const ReportedVersion& version) {
  if (version.has_private_half) return {"yes", Tone::kGood};
  if (CannotBeInIt(key, version)) return {"no: stays in the " + key.custodian, Tone::kWarning};
  return {"not needed", Tone::kFaint};
}

}  // namespace

Result<BackupReport> ParseBackupReport(const std::string& text) {
  try {
    return ReportFrom(Json::parse(text));
  } catch (const Json::exception& error) {
    return Fail(Error(ErrorCode::kInternal, "keyd and keyctl are not of one version")
                    .WithCause(error.what()));
  }
}

bool CannotBeInIt(const ReportedKey& key, const ReportedVersion& version) {
  return key.custody == "hardware" &&
         (version.state == "active" || version.state == "retiring" || version.state == "pending");
}

void PrintBackup(Shell& shell, const BackupReport& report) {
  shell.Say(fmt::format("Backup {}, made {} by keyd {} on {}, of service {}\n",
                        report.id.substr(0, kShort), Timestamp(report.created),
                        Printable(report.keyd), Printable(report.host),
                        report.service.substr(0, kShort)));
  Table table({"KEY", "VERSION", "STATE", "IN THE BACKUP", "FINGERPRINT"});
  for (const ReportedKey& key : report.keys) {
    for (const ReportedVersion& version : key.versions) {
      table.Add({key.name, std::to_string(version.number),
                 Cell(version.state, ToneOfState(version.state)), HeldCell(key, version),
                 version.fingerprint});
    }
  }
  table.Print(shell.out(), shell.color());
  if (const std::string derived = DerivedKeys(report); !derived.empty()) {
    shell.Say(
        "\nA restored service has another master key: what is derived becomes sealed by its "
        "hardware, with the same public keys: " +
        derived);
  }
  shell.Say(
      report.signed_by.empty()
          ? "\nNobody has signed it."
          : fmt::format("\nSigned by key {}: compare with 'keyctl key show keyward-service' of "
                        "that service.",
                        report.signed_by));
}

}  // namespace keyward::keyctl
