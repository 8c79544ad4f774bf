#include "examples/module/message.h"

#include <array>
#include <nlohmann/json.hpp>

namespace keyward::example {
namespace {

struct TypeInfo {
  MessageType type;
  std::string_view name;
  std::string_view metadata;
};

constexpr std::array kTypes = {
    TypeInfo{MessageType::kText, "text", R"({"type":"text"})"},
    TypeInfo{MessageType::kChat, "chat", R"({"type":"chat"})"},
    TypeInfo{MessageType::kChunk, "chunk", R"({"type":"chunk"})"},
    TypeInfo{MessageType::kFileEnd, "file-end", R"({"type":"file-end"})"},
    TypeInfo{MessageType::kDone, "done", R"({"type":"done"})"},
};

}  // namespace

std::string_view MetadataFor(MessageType type) {
  for (const TypeInfo& info : kTypes) {
    if (info.type == type) return info.metadata;
  }
  return {};
}

Result<MessageType> TypeFromMetadata(std::string_view metadata) {
  const nlohmann::json parsed = nlohmann::json::parse(metadata, nullptr, false);
  if (parsed.is_object() && parsed.contains("type") && parsed["type"].is_string()) {
    const auto& name = parsed["type"].get_ref<const std::string&>();
    for (const TypeInfo& info : kTypes) {
      if (info.name == name) return info.type;
    }
  }
  return Fail(ErrorCode::kMalformed, "the peer sent a message of an unknown type");
}

}  // namespace keyward::example
