// The names of this host, from every source of nsswitch.conf.
#pragma once

#include "policy/name_resolver.h"

namespace keyward::policy {

// May block for as long as the host's user database takes (LDAP, SSSD): call it while loading
// configuration, never while serving.
class SystemNames final : public NameResolver {
 public:
  Result<uint32_t> UserId(const std::string& name) const override;
  Result<uint32_t> GroupId(const std::string& name) const override;
};

}  // namespace keyward::policy
