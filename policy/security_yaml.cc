#include "policy/security_yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <spanstream>
#include <tuple>
#include <utility>

#include "policy/security_schema.h"
#include "policy/yaml_node.h"

namespace keyward::policy {
namespace {

constexpr size_t kMaxDepth = 8;  // the format itself needs five
constexpr size_t kMaxNodes = 65536;

Place PlaceOf(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {.line = static_cast<uint32_t>(mark.line) + 1,
          .column = static_cast<uint32_t>(mark.column) + 1};
}

[[noreturn]] void Refuse(const YAML::Mark& mark, const char* why) {
  throw YAML::ParserException(mark, why);
}

// Builds the tree from yaml-cpp's events rather than from its Node, whose maps swallow repeated
// keys and whose aliases are already resolved.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Diagnostics& problems) : problems_(problems) {}

  std::optional<YamlNode> TakeRoot() { return std::exchange(root_, std::nullopt); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_) Refuse(mark, "a second document; the file holds one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseExtras(mark, "", anchor);
    if (AwaitsKey()) Refuse(mark, "a key is missing before ':'");
    Add(NewNode(YamlNode::Kind::kEmpty, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Refuse(mark, "aliases ('*name') are not allowed here; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseExtras(mark, tag, anchor);
    RefuseRaggedText(mark, value);
    if (AwaitsKey()) {
      BeginEntry(mark, value);
      return;
    }
    YamlNode node = NewNode(YamlNode::Kind::kText, mark);
    node.text = value;
    Add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Begin(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Begin(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { End(); }

 private:
  // A list or map whose end has not come yet.
  struct Open {
    YamlNode node;
    std::map<std::string, uint32_t, std::less<>> lines_of_keys;
    std::optional<std::pair<std::string, Place>> key;  // the entry whose value is awaited
  };

  // yaml-cpp gives "?" and "!" to plain and quoted nodes without a tag.
  static void RefuseExtras(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      Refuse(mark, "anchors ('&name') are not allowed here; write the value out");
    }
    if (!tag.empty() && tag != "?" && tag != "!")
      Refuse(mark, "tags ('!name') are not allowed here");
  }

  // yaml-cpp closes an open quote at the end of the file and so takes all rules after it for text;
  // what is left of the last line break gives it away. No value of this format is that ragged.
  static void RefuseRaggedText(const YAML::Mark& mark, std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
    if (text.empty()) return;
    if (is_space(text.front()) || is_space(text.back()) || text.find('\n') != text.npos) {
      Refuse(mark, "text with line breaks or spaces at its ends; is a quote left open?");
    }
  }

  bool AwaitsKey() const {
    return !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().key;
  }

  void BeginEntry(const YAML::Mark& mark, const std::string& key) {
    Open& map = open_.back();
    const Place place = PlaceOf(mark);
    const auto [first, fresh] = map.lines_of_keys.try_emplace(key, place.line);
    if (!fresh) {
      problems_.Add(place, fmt::format("{} stands here a second time; the first is on line {}",
                                       Quote(key), first->second));
    }
    map.key.emplace(key, place);
  }

  void Begin(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
             YAML::anchor_t anchor) {
    RefuseExtras(mark, tag, anchor);
    if (AwaitsKey()) Refuse(mark, "a key must be plain text");
    if (open_.size() == kMaxDepth) Refuse(mark, "nested too deep");
    open_.push_back({.node = NewNode(kind, mark), .lines_of_keys = {}, .key = {}});
  }

  void End() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }

  YamlNode NewNode(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kMaxNodes) Refuse(mark, "too many entries");
    YamlNode node;
    node.kind = kind;
    node.place = PlaceOf(mark);
    return node;
  }

  void Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.key) {
      std::tie(node.key, node.key_place) = *std::exchange(parent.key, std::nullopt);
    }
    parent.node.children.push_back(std::move(node));
  }

  Diagnostics& problems_;
  std::vector<Open> open_;
  std::optional<YamlNode> root_;
  size_t nodes_ = 0;
};

// yaml-cpp takes U+0004 for the end of the file, silently, and a lone carriage return for a line
// end that editors do not show: either could hide rules from a reader.
bool CheckCharacters(std::string_view text, Diagnostics& problems) {
  Place place;
  for (size_t i = 0; i < text.size(); ++i, ++place.column) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\n') {
      place = {.line = place.line + 1, .column = 0};
    } else if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      continue;
    } else if ((c < ' ' && c != '\t') || c == 0x7f) {
      problems.Add(place,
                   fmt::format("control character U+{:04X}; save the file as plain UTF-8", c));
      return false;
    }
  }
  return true;
}

std::optional<YamlNode> ParseYaml(std::string_view text, Diagnostics& problems) {
  if (text.size() > kMaxSecurityYaml) {
    problems.Add({}, "the file is over 1 MiB");
    return std::nullopt;
  }
  if (!CheckCharacters(text, problems)) return std::nullopt;
  try {
    std::ispanstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder tree(problems);
    while (parser.HandleNextDocument(tree)) {
    }
    std::optional<YamlNode> root = tree.TakeRoot();
    if (!root || root->kind == YamlNode::Kind::kEmpty) {
      problems.Add({}, "the file is empty; begin it with 'version: 1'");
      return std::nullopt;
    }
    return root;
  } catch (const YAML::Exception& error) {
    problems.Add(PlaceOf(error.mark), error.msg);
    return std::nullopt;
  }
}

}  // namespace

std::expected<Policy, std::vector<Diagnostic>> CheckSecurityYaml(std::string_view text,
                                                                 const NameResolver& names) {
  Diagnostics problems;
  const std::optional<YamlNode> root = ParseYaml(text, problems);
  Policy policy;
  if (root) policy = Policy(ReadSettings(*root, names, problems));
  if (!problems.empty()) return std::unexpected(std::move(problems).TakeSorted());
  return policy;
}

Result<Policy> ReadSecurityYaml(std::string_view text, const NameResolver& names) {
  auto policy = CheckSecurityYaml(text, names);
  if (!policy) return Fail(AsError(policy.error()));
  return *std::move(policy);
}

}  // namespace keyward::policy
