// Turns the names of users and groups into the numbers that the kernel vouches for.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace keyward::policy {

// Any thread may call. Errors of both: kNotFound (no such name here), kIo (the user database did
// not answer, so whether there is one stays open).
class NameResolver {
 public:
  virtual ~NameResolver() = default;
  virtual Result<uint32_t> UserId(const std::string& name) const = 0;
  virtual Result<uint32_t> GroupId(const std::string& name) const = 0;
};

}  // namespace keyward::policy
