// Typed reading of YAML nodes; whatever does not fit becomes a diagnostic.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/diagnostic.h"
#include "policy/yaml_node.h"

namespace keyward::policy {

// A map whose keys are fixed. `what` names it in messages: "'sessions'". The node, `known` and
// `problems` outlive it.
class FieldReader {
 public:
  // Reports a node that is no map, and keys that are not `known`.
  FieldReader(const YamlNode& node, std::string what, std::span<const std::string_view> known,
              Diagnostics& problems);

  // Null when there is no such field; Require also reports that.
  const YamlNode* Find(std::string_view key) const;
  const YamlNode* Require(std::string_view key) const;

  const YamlNode& node() const { return node_; }

 private:
  const YamlNode& node_;
  std::string what_;
  Diagnostics& problems_;
};

struct Range {
  uint32_t least;
  uint32_t most;
};

// Each reports what is wrong and then gives nothing. `what` is for messages.

// Text that is not empty and has at most `max_size` bytes.
std::optional<std::string> ReadText(const YamlNode& node, std::string_view what, size_t max_size,
                                    Diagnostics& problems);
// An absolute path. Its text is not quoted in messages.
std::optional<std::string> ReadPath(const YamlNode& node, std::string_view what,
                                    Diagnostics& problems);
// A whole decimal number.
std::optional<uint32_t> ReadNumber(const YamlNode& node, std::string_view what, Range range,
                                   Diagnostics& problems);
// The texts of a list; no text may stand in it twice.
std::vector<const YamlNode*> ReadTexts(const YamlNode& node, std::string_view what,
                                       Diagnostics& problems);
// The entries of a map whose keys are names (name_rules.h).
std::vector<const YamlNode*> ReadNamedEntries(const YamlNode& node, std::string_view what,
                                              Diagnostics& problems);

// Digits alone, without leading zeros, that fit.
std::optional<uint32_t> NumberFromText(std::string_view text);

}  // namespace keyward::policy
