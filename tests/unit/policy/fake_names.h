// A host with three users and two groups, and a database that fails on demand.
#pragma once

#include <map>

#include "policy/name_resolver.h"

namespace keyward::policy {

class FakeNames final : public NameResolver {
 public:
  Result<uint32_t> UserId(const std::string& name) const override {
    return Find({{"root", 0}, {"frontend", 1001}, {"backend", 1002}}, name);
  }
  Result<uint32_t> GroupId(const std::string& name) const override {
    return Find({{"keyward-admin", 200}, {"web", 300}}, name);
  }

 private:
  static Result<uint32_t> Find(const std::map<std::string, uint32_t>& ids,
                               const std::string& name) {
    if (name == "unreachable") return Fail(ErrorCode::kIo, "the database does not answer");
    const auto id = ids.find(name);
    if (id == ids.end()) return Fail(ErrorCode::kNotFound, "no such name on this host");
    return id->second;
  }
};

}  // namespace keyward::policy
