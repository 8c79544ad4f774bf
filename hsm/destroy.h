// Destroying what has a name.
#pragma once

#include "hsm/session.h"

namespace keyward::hsm {

// Destroys what `find(session)` finds, a vector of handles, and looks again after, since a token
// that went away in between also says that the object is gone. Errors: those of Session, and
// kCustodianUnavailable when something is left.
template <class Find>
Result<void> DestroyFound(const Session& session, Find find) {
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, find(session));
  if (found.empty()) return {};
  for (const CK_OBJECT_HANDLE object : found) KEYWARD_TRY(session.Destroy(object));
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> left, find(session));
  if (left.empty()) return {};
  return Fail(ErrorCode::kCustodianUnavailable,
              "the HSM token did not destroy what it was told to");
}

}  // namespace keyward::hsm
