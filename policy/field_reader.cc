#include "policy/field_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "policy/name_rules.h"
#include "policy/suggestion.h"

namespace keyward::policy {
namespace {

constexpr size_t kMaxPath = 4095;  // PATH_MAX without its NUL

// An empty value begins where nothing is; its key is what people look for.
Place PlaceToShow(const YamlNode& node) {
  return node.kind == YamlNode::Kind::kEmpty && !node.key.empty() ? node.key_place : node.place;
}

bool IsKind(const YamlNode& node, YamlNode::Kind kind, std::string_view problem,
            Diagnostics& problems) {
  if (node.kind == kind) return true;
  problems.Add(PlaceToShow(node), std::string(problem));
  return false;
}

}  // namespace

FieldReader::FieldReader(const YamlNode& node, std::string what,
                         std::span<const std::string_view> known, Diagnostics& problems)
    : node_(node), what_(std::move(what)), problems_(problems) {
  if (!IsKind(node, YamlNode::Kind::kMap, what_ + " must be a map of 'key: value'", problems))
    return;
  for (const YamlNode& field : node.children) {
    if (std::ranges::find(known, field.key) != known.end()) continue;
    std::string hint = Suggest(field.key, known);
    if (hint.empty()) hint = fmt::format("; known are: {}", fmt::join(known, ", "));
    problems.Add(field.key_place, fmt::format("{} has no key {}{}", what_, Quote(field.key), hint));
  }
}

const YamlNode* FieldReader::Find(std::string_view key) const {
  const auto field = std::ranges::find(node_.children, key, &YamlNode::key);
  return node_.kind == YamlNode::Kind::kMap && field != node_.children.end() ? &*field : nullptr;
}

const YamlNode* FieldReader::Require(std::string_view key) const {
  const YamlNode* field = Find(key);
  if (field == nullptr && node_.kind == YamlNode::Kind::kMap) {
    problems_.Add(node_.key.empty() ? node_.place : node_.key_place,
                  fmt::format("{} lacks '{}'", what_, key));
  }
  return field;
}

std::optional<std::string> ReadText(const YamlNode& node, std::string_view what, size_t max_size,
                                    Diagnostics& problems) {
  if (!IsKind(node, YamlNode::Kind::kText, fmt::format("{} must be text", what), problems)) {
    return std::nullopt;
  }
  if (node.text.empty() || node.text.size() > max_size) {
    problems.Add(node.place, fmt::format("{} must have 1 to {} bytes", what, max_size));
    return std::nullopt;
  }
  return node.text;
}

std::optional<std::string> ReadPath(const YamlNode& node, std::string_view what,
                                    Diagnostics& problems) {
  std::optional<std::string> path = ReadText(node, what, kMaxPath, problems);
  if (path && !path->starts_with('/')) {
    problems.Add(node.place, fmt::format("{} must be an absolute path", what));
    return std::nullopt;
  }
  return path;
}

std::optional<uint32_t> ReadNumber(const YamlNode& node, std::string_view what, Range range,
                                   Diagnostics& problems) {
  const std::optional<uint32_t> number =
      node.kind == YamlNode::Kind::kText ? NumberFromText(node.text) : std::nullopt;
  if (number && *number >= range.least && *number <= range.most) return number;
  problems.Add(PlaceToShow(node), fmt::format("{} must be a whole number from {} to {}", what,
                                              range.least, range.most));
  return std::nullopt;
}

std::vector<const YamlNode*> ReadTexts(const YamlNode& node, std::string_view what,
                                       Diagnostics& problems) {
  std::vector<const YamlNode*> texts;
  if (!IsKind(node, YamlNode::Kind::kList, fmt::format("{} must be a list such as [a, b]", what),
              problems)) {
    return texts;
  }
  std::set<std::string_view> seen;
  for (const YamlNode& item : node.children) {
    if (item.kind != YamlNode::Kind::kText || item.text.empty()) {
      problems.Add(item.place, fmt::format("{} must list text only", what));
    } else if (!seen.insert(item.text).second) {
      problems.Add(item.place, fmt::format("{} lists {} twice", what, Quote(item.text)));
    } else {
      texts.push_back(&item);
    }
  }
  return texts;
}

std::vector<const YamlNode*> ReadNamedEntries(const YamlNode& node, std::string_view what,
                                              Diagnostics& problems) {
  std::vector<const YamlNode*> entries;
  if (!IsKind(node, YamlNode::Kind::kMap, fmt::format("{} must be a map of names", what),
              problems)) {
    return entries;
  }
  for (const YamlNode& entry : node.children) {
    if (IsName(entry.key)) {
      entries.push_back(&entry);
    } else {
      problems.Add(entry.key_place, fmt::format("bad name {} in {}: a name is {}", Quote(entry.key),
                                                what, kNameRule));
    }
  }
  return entries;
}

std::optional<uint32_t> NumberFromText(std::string_view text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  // YAML 1.1 reads a leading zero as octal, YAML 1.2 does not: better no reading than two.
  if (!whole || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  return number;
}

}  // namespace keyward::policy
