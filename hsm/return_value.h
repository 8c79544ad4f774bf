// What a CK_RV means: the one place where PKCS#11 return values become errors.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "hsm/pkcs11.h"

namespace keyward::hsm {

// "CKR_PIN_INCORRECT"; "CK_RV 0x80000001" for a value that PKCS#11 2.40 does not name.
std::string NameOf(CK_RV value);

// Success for CKR_OK, else the error that `value` stands for; `function` ("C_Sign") goes into its
// cause. A value that says nothing about the request is kCustodianUnavailable, because a fresh
// session may help; an invalid object handle is kNotFound, because a fresh lookup may.
Result<void> Check(CK_RV value, std::string_view function);

}  // namespace keyward::hsm
