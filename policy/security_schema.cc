#include "policy/security_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "policy/field_reader.h"
#include "policy/name_rules.h"
#include "policy/suggestion.h"

namespace keyward::policy {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kFileKeys = {"version"sv,  "admins"sv, "hsm"sv,  "tpm"sv,    "sessions"sv,
                                  "rotation"sv, "audit"sv,  "keys"sv, "modules"sv};
constexpr std::array kAdminKeys = {"users"sv, "groups"sv};
constexpr std::array kHsmKeys = {"module"sv, "token"sv, "pin_file"sv, "pin_credential"sv};
constexpr std::array kTpmKeys = {"tcti"sv, "attest_pcrs"sv};
constexpr std::array kTctis = {"device"sv, "swtpm"sv, "mssim"sv, "tabrmd"sv};
constexpr std::array kSessionKeys = {"session_timeout"sv, "handshake_timeout"sv,
                                     "max_message_size"sv, "max_sessions"sv};
constexpr std::array kRotationKeys = {"max_age"sv, "max_uses"sv, "grace_period"sv};
constexpr std::array kAuditKeys = {"max_size"sv, "max_age"sv, "segment_size"sv, "reserve"sv,
                                   "checkpoint_interval"sv};
constexpr std::array kModuleKeys = {"users"sv, "groups"sv, "keys"sv, "peers"sv, "sessions"sv};

constexpr uint32_t kTenYears = 10 * 366 * 24 * 3600;
constexpr size_t kMaxTokenLabel = 32;  // CK_TOKEN_INFO.label
constexpr size_t kMaxTcti = 1024;
constexpr size_t kMaxCredential = 255;  // NAME_MAX

// One pass over one file.
class SettingsReader {
 public:
  SettingsReader(const NameResolver& names, Diagnostics& problems)
      : names_(names), problems_(problems) {}

  Policy::Settings Read(const YamlNode& root);

 private:
  using Lookup = Result<uint32_t> (NameResolver::*)(const std::string&) const;

  FieldReader Fields(const YamlNode& node, std::string what,
                     std::span<const std::string_view> known) {
    return {node, std::move(what), known, problems_};
  }
  void CheckVersion(const FieldReader& file);
  Principals ReadPrincipals(const FieldReader& fields);
  std::set<uint32_t> ReadIds(const YamlNode& node, std::string_view kind, Lookup lookup);
  std::optional<uint32_t> ReadId(const YamlNode& node, std::string_view kind, Lookup lookup);
  HsmSettings ReadHsm(const YamlNode& node);
  TpmSettings ReadTpm(const YamlNode& node);
  PcrSelection ReadPcrs(const YamlNode& node);
  SessionLimits ReadLimits(const YamlNode& node, SessionLimits limits);
  RotationRules ReadRotation(const YamlNode& node, const std::string& what, RotationRules rules);
  AuditLimits ReadAudit(const YamlNode& node);
  Module ReadModule(const YamlNode& node, const SessionLimits& defaults);
  std::set<Purpose> ReadPurposes(const YamlNode& node);
  std::set<std::string, std::less<>> ReadPeers(const YamlNode& node);

  const NameResolver& names_;
  Diagnostics& problems_;
};

Policy::Settings SettingsReader::Read(const YamlNode& root) {
  Policy::Settings settings;
  const FieldReader file = Fields(root, "security.yaml", kFileKeys);
  CheckVersion(file);
  if (const YamlNode* admins = file.Find("admins")) {
    settings.admins = ReadPrincipals(Fields(*admins, "'admins'", kAdminKeys));
  }
  if (const YamlNode* hsm = file.Find("hsm")) settings.hsm = ReadHsm(*hsm);
  if (const YamlNode* tpm = file.Find("tpm")) settings.tpm = ReadTpm(*tpm);
  SessionLimits defaults;
  if (const YamlNode* limits = file.Find("sessions")) defaults = ReadLimits(*limits, defaults);
  if (const YamlNode* rotation = file.Find("rotation")) {
    settings.rotation = ReadRotation(*rotation, "'rotation'", settings.rotation);
  }
  if (const YamlNode* audit = file.Find("audit")) settings.audit = ReadAudit(*audit);
  if (const YamlNode* keys = file.Find("keys")) {
    for (const YamlNode* key : ReadNamedEntries(*keys, "'keys'", problems_)) {
      settings.key_rotation.emplace(
          key->key, ReadRotation(*key, fmt::format("key '{}'", key->key), settings.rotation));
    }
  }
  if (const YamlNode* modules = file.Find("modules")) {
    for (const YamlNode* module : ReadNamedEntries(*modules, "'modules'", problems_)) {
      settings.modules.push_back(ReadModule(*module, defaults));
    }
  }
  return settings;
}

void SettingsReader::CheckVersion(const FieldReader& file) {
  const YamlNode* version = file.Require("version");
  if (version == nullptr || version->text == "1") return;
  problems_.Add(version->key_place, "'version' must be 1: this is the only version known here");
}

// "users: [...]" and "groups: [...]" of `fields`.
Principals SettingsReader::ReadPrincipals(const FieldReader& fields) {
  Principals principals;
  const YamlNode* users = fields.Find("users");
  const YamlNode* groups = fields.Find("groups");
  if (users != nullptr) principals.uids = ReadIds(*users, "user", &NameResolver::UserId);
  if (groups != nullptr) principals.gids = ReadIds(*groups, "group", &NameResolver::GroupId);
  const auto names_nobody = [](const YamlNode* list) {
    return list == nullptr || (list->kind == YamlNode::Kind::kList && list->children.empty());
  };
  if (fields.node().kind == YamlNode::Kind::kMap && names_nobody(users) && names_nobody(groups)) {
    problems_.Add(fields.node().key_place,
                  fmt::format("'{}' names nobody; give it 'users' or 'groups'", fields.node().key));
  }
  return principals;
}

std::set<uint32_t> SettingsReader::ReadIds(const YamlNode& node, std::string_view kind,
                                           Lookup lookup) {
  std::set<uint32_t> ids;
  for (const YamlNode* item : ReadTexts(node, fmt::format("'{}s'", kind), problems_)) {
    if (const std::optional<uint32_t> id = ReadId(*item, kind, lookup)) ids.insert(*id);
  }
  return ids;
}

std::optional<uint32_t> SettingsReader::ReadId(const YamlNode& node, std::string_view kind,
                                               Lookup lookup) {
  const bool digits = std::ranges::all_of(node.text, [](char c) { return c >= '0' && c <= '9'; });
  if (digits) {
    const std::optional<uint32_t> id = NumberFromText(node.text);
    // The last number means "no such id" in chown(2) and its kin.
    if (id && *id != std::numeric_limits<uint32_t>::max()) return id;
    problems_.Add(node.place, fmt::format("{} is no {} id", Quote(node.text), kind));
    return std::nullopt;
  }
  const Result<uint32_t> id = (names_.*lookup)(node.text);
  if (id) return *id;
  problems_.Add(node.place, id.error().code() == ErrorCode::kNotFound
                                ? fmt::format("unknown {} {}; create it or give its number", kind,
                                              Quote(node.text))
                                : fmt::format("{} {} cannot be looked up: {}", kind,
                                              Quote(node.text), id.error().message()));
  return std::nullopt;
}

HsmSettings SettingsReader::ReadHsm(const YamlNode& node) {
  HsmSettings hsm;
  const FieldReader fields = Fields(node, "'hsm'", kHsmKeys);
  if (const YamlNode* module = fields.Require("module")) {
    hsm.module = ReadPath(*module, "'module'", problems_).value_or("");
  }
  if (const YamlNode* token = fields.Require("token")) {
    hsm.token = ReadText(*token, "'token'", kMaxTokenLabel, problems_).value_or("");
  }
  const YamlNode* file = fields.Find("pin_file");
  const YamlNode* credential = fields.Find("pin_credential");
  if (file != nullptr) hsm.pin_file = ReadPath(*file, "'pin_file'", problems_);
  if (credential != nullptr) {
    hsm.pin_credential = ReadText(*credential, "'pin_credential'", kMaxCredential, problems_);
    if (hsm.pin_credential && hsm.pin_credential->find('/') != std::string::npos) {
      problems_.Add(credential->place, "'pin_credential' is a credential's name, not a path");
    }
  }
  if (node.kind == YamlNode::Kind::kMap && (file == nullptr) == (credential == nullptr)) {
    problems_.Add(node.key_place, "'hsm' needs either 'pin_file' or 'pin_credential'");
  }
  return hsm;
}

TpmSettings SettingsReader::ReadTpm(const YamlNode& node) {
  TpmSettings tpm;
  const FieldReader fields = Fields(node, "'tpm'", kTpmKeys);
  if (const YamlNode* pcrs = fields.Find("attest_pcrs")) tpm.attest_pcrs = ReadPcrs(*pcrs);
  const YamlNode* tcti = fields.Require("tcti");
  if (tcti == nullptr) return tpm;
  tpm.tcti = ReadText(*tcti, "'tcti'", kMaxTcti, problems_).value_or("");
  const std::string name = tpm.tcti.substr(0, tpm.tcti.find(':'));
  if (!name.empty() && std::ranges::find(kTctis, name) == kTctis.end()) {
    problems_.Add(tcti->place, fmt::format("unknown TCTI {}{}; known are: {}", Quote(name),
                                           Suggest(name, kTctis), fmt::join(kTctis, ", ")));
  }
  return tpm;
}

PcrSelection SettingsReader::ReadPcrs(const YamlNode& node) {
  PcrSelection pcrs;
  for (const YamlNode* item : ReadTexts(node, "'attest_pcrs'", problems_)) {
    if (const auto pcr = ReadNumber(*item, "a PCR", {0, kPcrCount - 1}, problems_)) {
      pcrs.insert(*pcr);
    }
  }
  if (node.kind == YamlNode::Kind::kList && node.children.empty()) {
    problems_.Add(node.key_place, "'attest_pcrs' names no PCR; leave it out for the default");
  }
  return pcrs;
}

SessionLimits SettingsReader::ReadLimits(const YamlNode& node, SessionLimits limits) {
  const FieldReader fields = Fields(node, "'sessions'", kSessionKeys);
  const auto read = [&](std::string_view key, Range range) -> std::optional<uint32_t> {
    const YamlNode* field = fields.Find(key);
    if (field == nullptr) return std::nullopt;
    return ReadNumber(*field, fmt::format("'{}'", key), range, problems_);
  };
  if (const auto seconds = read("session_timeout", {1, 7 * 24 * 3600})) {
    limits.session_timeout = std::chrono::seconds(*seconds);
  }
  if (const auto seconds = read("handshake_timeout", {1, 600})) {
    limits.handshake_timeout = std::chrono::seconds(*seconds);
  }
  if (const auto bytes = read("max_message_size", {1, SessionLimits().max_message_size})) {
    limits.max_message_size = *bytes;
  }
  if (const auto count = read("max_sessions", {1, 10000})) limits.max_sessions = *count;
  return limits;
}

// What `node` leaves out is as in `rules`.
RotationRules SettingsReader::ReadRotation(const YamlNode& node, const std::string& what,
                                           RotationRules rules) {
  const FieldReader fields = Fields(node, what, kRotationKeys);
  const auto read = [&](std::string_view key, Range range) -> std::optional<uint32_t> {
    const YamlNode* field = fields.Find(key);
    if (field == nullptr) return std::nullopt;
    return ReadNumber(*field, fmt::format("'{}'", key), range, problems_);
  };
  if (const auto seconds = read("max_age", {60, kTenYears})) {
    rules.max_age = std::chrono::seconds(*seconds);
  }
  if (const auto uses = read("max_uses", {1, std::numeric_limits<uint32_t>::max()})) {
    rules.max_uses = *uses;
  }
  if (const auto seconds = read("grace_period", {0, kTenYears})) {
    rules.grace_period = std::chrono::seconds(*seconds);
  }
  return rules;
}

AuditLimits SettingsReader::ReadAudit(const YamlNode& node) {
  const FieldReader fields = Fields(node, "'audit'", kAuditKeys);
  const auto read = [&](std::string_view key, Range range) -> std::optional<uint32_t> {
    const YamlNode* field = fields.Find(key);
    if (field == nullptr) return std::nullopt;
    return ReadNumber(*field, fmt::format("'{}'", key), range, problems_);
  };
  constexpr uint32_t kMebibyte = uint32_t{1} << 20;
  AuditLimits limits;
  if (const auto bytes = read("max_size", {kMebibyte, std::numeric_limits<uint32_t>::max()})) {
    limits.max_size = *bytes;
  }
  if (const auto seconds = read("max_age", {3600, kTenYears})) {
    limits.max_age = std::chrono::seconds(*seconds);
  }
  if (const auto bytes = read("segment_size", {kMebibyte / 16, 64 * kMebibyte})) {
    limits.segment_size = *bytes;
  }
  if (const auto bytes = read("reserve", {kMebibyte / 16, 64 * kMebibyte})) {
    limits.reserve = *bytes;
  }
  if (const auto seconds = read("checkpoint_interval", {60, 7 * 24 * 3600})) {
    limits.checkpoint_interval = std::chrono::seconds(*seconds);
  }
  return limits;
}

Module SettingsReader::ReadModule(const YamlNode& node, const SessionLimits& defaults) {
  Module module{.name = node.key, .members = {}, .keys = {}, .peers = {}, .limits = defaults};
  const FieldReader fields = Fields(node, fmt::format("module '{}'", node.key), kModuleKeys);
  module.members = ReadPrincipals(fields);
  if (const YamlNode* keys = fields.Find("keys")) {
    for (const YamlNode* key : ReadNamedEntries(*keys, "'keys'", problems_)) {
      if (key->key == kServiceKeyName) {
        problems_.Add(key->key_place, fmt::format("'{}' is keyd's own key", kServiceKeyName));
      }
      module.keys.emplace(key->key, ReadPurposes(*key));
    }
  }
  if (const YamlNode* peers = fields.Find("peers")) module.peers = ReadPeers(*peers);
  if (const YamlNode* limits = fields.Find("sessions")) {
    module.limits = ReadLimits(*limits, defaults);
  }
  return module;
}

std::set<Purpose> SettingsReader::ReadPurposes(const YamlNode& node) {
  std::array<std::string_view, kPurposes.size()> known;
  std::ranges::transform(kPurposes, known.begin(), [](Purpose purpose) { return Name(purpose); });
  std::set<Purpose> purposes;
  const std::string what = fmt::format("key '{}'", node.key);
  for (const YamlNode* item : ReadTexts(node, what, problems_)) {
    if (const std::optional<Purpose> purpose = PurposeFromName(item->text)) {
      purposes.insert(*purpose);
    } else {
      problems_.Add(item->place,
                    fmt::format("unknown purpose {}{}; known are: {}", Quote(item->text),
                                Suggest(item->text, known), fmt::join(known, ", ")));
    }
  }
  if (node.kind == YamlNode::Kind::kList && node.children.empty()) {
    problems_.Add(node.key_place,
                  fmt::format("{} has no purpose: such a grant grants nothing", what));
  }
  return purposes;
}

std::set<std::string, std::less<>> SettingsReader::ReadPeers(const YamlNode& node) {
  std::set<std::string, std::less<>> peers;
  for (const YamlNode* item : ReadTexts(node, "'peers'", problems_)) {
    if (IsName(item->text)) {
      peers.insert(item->text);
    } else {
      problems_.Add(item->place, fmt::format("bad name {} in 'peers': a name is {}",
                                             Quote(item->text), kNameRule));
    }
  }
  return peers;
}

}  // namespace

Policy::Settings ReadSettings(const YamlNode& root, const NameResolver& names,
                              Diagnostics& problems) {
  return SettingsReader(names, problems).Read(root);
}

}  // namespace keyward::policy
