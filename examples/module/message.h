// What the two examples, this one and examples/python/module.py, say to each other inside a
// session.
//
// Each sealed message has metadata {"type": TYPE}: "text" (UTF-8), "chat" (any bytes), "chunk" (the
// next part of a file), "file-end" (after the last chunk: the file's SHA-256, 32 bytes) and "done"
// (empty: the sender has said all it had to say). The initiator speaks first; the responder after
// the initiator's "done". Chat goes both ways at any time.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace keyward::example {

enum class MessageType : uint8_t { kText, kChat, kChunk, kFileEnd, kDone };

// The metadata for a message of `type`.
std::string_view MetadataFor(MessageType type);
// Errors: kMalformed (no JSON object, or a type that is none of these).
Result<MessageType> TypeFromMetadata(std::string_view metadata);

}  // namespace keyward::example
