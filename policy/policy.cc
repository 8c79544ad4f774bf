#include "policy/policy.h"

#include <algorithm>
#include <utility>

namespace keyward::policy {
namespace {

bool Grants(const Module& module, std::string_view key, Purpose purpose) {
  const auto grant = module.keys.find(key);
  return grant != module.keys.end() && grant->second.contains(purpose);
}

}  // namespace

bool Principals::Include(const Caller& caller) const {
  return uids.contains(caller.uid) ||
         std::ranges::any_of(caller.gids, [this](uint32_t gid) { return gids.contains(gid); });
}

Policy::Policy(Settings settings) : settings_(std::move(settings)) {
  std::ranges::sort(settings_.modules, {}, &Module::name);
}

bool Policy::IsAdmin(const Caller& caller) const { return settings_.admins.Include(caller); }

std::vector<const Module*> Policy::ModulesOf(const Caller& caller) const {
  std::vector<const Module*> found;
  for (const Module& module : settings_.modules) {
    if (module.members.Include(caller)) found.push_back(&module);
  }
  return found;
}

const Module* Policy::FindModule(std::string_view name) const {
  const auto found = std::ranges::lower_bound(settings_.modules, name, {}, &Module::name);
  return found != settings_.modules.end() && found->name == name ? &*found : nullptr;
}

Result<std::vector<const Module*>> Policy::MayUseKey(const Caller& caller, std::string_view key,
                                                     Purpose purpose) const {
  std::vector<const Module*> modules = ModulesOf(caller);
  std::erase_if(modules, [&](const Module* module) { return !Grants(*module, key, purpose); });
  if (!modules.empty()) return modules;
  return Fail(ErrorCode::kPermissionDenied,
              "the policy grants the caller no such key for this purpose; grants stand in "
              "security.yaml under 'modules'");
}

Result<std::vector<const Module*>> Policy::MayOpenSession(const Caller& caller,
                                                          std::string_view key, Purpose purpose,
                                                          std::string_view peer) const {
  KEYWARD_ASSIGN(std::vector<const Module*> modules, MayUseKey(caller, key, purpose));
  const Module& first = *modules.front();
  std::erase_if(modules, [peer](const Module* module) { return !MayTalkTo(*module, peer); });
  if (modules.empty()) KEYWARD_TRY(MayTalkTo(first, peer));
  return modules;
}

const RotationRules& Policy::RotationOf(std::string_view key) const {
  const auto own = settings_.key_rotation.find(key);
  return own == settings_.key_rotation.end() ? settings_.rotation : own->second;
}

bool Policy::MaySee(const Caller& caller, std::string_view key) const {
  if (IsAdmin(caller)) return true;
  return std::ranges::any_of(ModulesOf(caller),
                             [key](const Module* module) { return module->keys.contains(key); });
}

Result<void> MayTalkTo(const Module& module, std::string_view peer) {
  if (module.peers.contains(peer)) return {};
  return Fail(ErrorCode::kPeerNotAllowed,
              "module '" + module.name +
                  "' may not talk to this peer; its peers stand in security.yaml under 'peers'");
}

}  // namespace keyward::policy
