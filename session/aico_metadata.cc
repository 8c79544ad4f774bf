#include "session/aico_metadata.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "session/aico_message.h"

namespace keyward::session {
namespace {

using nlohmann::json;

constexpr const char* kSequence = "seq";
constexpr const char* kEpoch = "epoch";
constexpr int kMaxDepth = 16;  // objects and arrays, one in the other

// A JSON object, or nothing. Depth is bounded, because writing JSON out is recursive.
std::optional<json> ParseObject(std::string_view text) {
  bool too_deep = false;
  json value = json::parse(
      text.begin(), text.end(),
      [&too_deep](int depth, json::parse_event_t event, json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        too_deep = too_deep || (opens && depth >= kMaxDepth);
        return !too_deep;
      },
      /*allow_exceptions=*/false);
  if (too_deep || !value.is_object()) return std::nullopt;
  return value;
}

std::optional<uint64_t> TakeNumber(json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end() || !member->is_number_unsigned()) return std::nullopt;
  const auto number = member->get<uint64_t>();
  object.erase(member);
  return number;
}

}  // namespace

Result<std::string> ComposeMetadata(uint64_t sequence, uint64_t epoch,
                                    std::string_view application) {
  std::string text = fmt::format("{{\"{}\":{},\"{}\":{}}}", kSequence, sequence, kEpoch, epoch);
  if (application.empty()) return text;
  if (application.size() > kAicoMaxApplicationMetadata) {
    return Fail(ErrorCode::kTooLarge, "metadata has at most 4096 bytes");
  }
  const std::optional<json> object = ParseObject(application);
  if (!object || object->contains(kSequence) || object->contains(kEpoch)) {
    return Fail(ErrorCode::kMalformed,
                "metadata is a JSON object without the members 'seq' and 'epoch'");
  }
  if (object->empty()) return text;
  const std::string members = object->dump();
  text.back() = ',';
  text.append(members, 1);
  if (text.size() > kAicoMaxMetadata) {
    return Fail(ErrorCode::kTooLarge, "metadata, written out anew, has at most 8192 bytes");
  }
  return text;
}

Result<ParsedMetadata> ParseMetadata(std::string_view text) {
  std::optional<json> object = ParseObject(text);
  if (!object) return Fail(ErrorCode::kMalformed, "the metadata is no JSON object");
  const std::optional<uint64_t> sequence = TakeNumber(*object, kSequence);
  const std::optional<uint64_t> epoch = TakeNumber(*object, kEpoch);
  if (!sequence || !epoch) {
    return Fail(ErrorCode::kMalformed, "the metadata has no 'seq' or no 'epoch'");
  }
  return ParsedMetadata{*sequence, *epoch, object->empty() ? std::string() : object->dump()};
}

}  // namespace keyward::session
