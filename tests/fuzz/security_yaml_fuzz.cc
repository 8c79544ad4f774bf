// Any text is either a policy or a list of problems with places in it; never a crash or a hang.
#include <cstdlib>

#include "core/bytes.h"
#include "policy/security_yaml.h"

namespace {

using keyward::ErrorCode;
using keyward::Fail;
using keyward::Result;

// Knows the names of one letter.
class Names final : public keyward::policy::NameResolver {
 public:
  Result<uint32_t> UserId(const std::string& name) const override { return Id(name); }
  Result<uint32_t> GroupId(const std::string& name) const override { return Id(name); }

 private:
  static Result<uint32_t> Id(const std::string& name) {
    if (name.size() != 1) return Fail(ErrorCode::kNotFound, "no such name on this host");
    return static_cast<uint8_t>(name.front());
  }
};

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = keyward::AsText({data, size});
  const auto policy = keyward::policy::CheckSecurityYaml(text, Names());
  if (policy) {
    // A module without members, or a grant without a purpose, must not get through.
    for (const keyward::policy::Module& module : policy->modules()) {
      Require(!module.members.uids.empty() || !module.members.gids.empty());
      for (const auto& [key, purposes] : module.keys) Require(!purposes.empty());
    }
    return 0;
  }
  Require(!policy.error().empty());
  for (const keyward::policy::Diagnostic& problem : policy.error()) {
    Require(problem.place.line >= 1 && problem.place.line <= size + 2);
    Require(!problem.message.empty());
  }
  return 0;
}
