#include "audit/chain.h"

#include <fmt/format.h>
#include <sodium.h>

#include <string>

#include "core/encoding.h"

namespace keyward::audit {

Hash HashOf(std::string_view line) {
  Hash hash;
  const ByteView bytes = AsBytes(line);
  // Fails only for lengths that it does not have.
  crypto_generichash(hash.data(), hash.size(), bytes.data(), bytes.size(), nullptr, 0);
  return hash;
}

Hash Genesis(const LogId& id) { return HashOf("Keyward audit log v1\nlog " + ToHex(id) + "\n"); }

Bytes CheckpointStatement(const LogId& id, const Head& through) {
  const std::string text = fmt::format("Keyward audit checkpoint v1\nlog {}\nthrough {}\nhead {}\n",
                                       ToHex(id), through.seq, ToHex(through.hash));
  return ToBytes(AsBytes(text));
}

}  // namespace keyward::audit
