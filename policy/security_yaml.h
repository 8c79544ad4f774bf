// Reads security.yaml: text in, Policy out. docs/CONFIGURATION.md describes the format.
//
// The file decides who may use which key, so reading is strict: an unknown or repeated key, a name
// that does not resolve or a value out of range makes the whole file void, never a part of it.
// YAML's anchors, aliases and tags are refused, so what one reads is what holds.
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "policy/diagnostic.h"
#include "policy/name_resolver.h"
#include "policy/policy.h"

namespace keyward::policy {

inline constexpr size_t kMaxSecurityYaml = size_t{1} << 20;  // bytes

// For people who edit the file: all problems that were found, in order of line, at most
// Diagnostics::kMaxDiagnostics and at least one. Where the text is no YAML at all, the first.
std::expected<Policy, std::vector<Diagnostic>> CheckSecurityYaml(std::string_view text,
                                                                 const NameResolver& names);

// For the daemon. Errors: kConfiguration, with the line and remedy of the first few problems.
Result<Policy> ReadSecurityYaml(std::string_view text, const NameResolver& names);

}  // namespace keyward::policy
