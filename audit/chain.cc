#include "audit/chain.h"

#include <fmt/format.h>

#include <string>

#include "core/blake2b.h"
#include "core/encoding.h"

namespace keyward::audit {

Hash HashOf(std::string_view line) { return Blake2b(AsBytes(line)); }

Hash Genesis(const LogId& id) { return HashOf("Keyward audit log v1\nlog " + ToHex(id) + "\n"); }

Bytes CheckpointStatement(const LogId& id, const Head& through) {
  const std::string text = fmt::format("Keyward audit checkpoint v1\nlog {}\nthrough {}\nhead {}\n",
                                       ToHex(id), through.seq, ToHex(through.hash));
  return ToBytes(AsBytes(text));
}

}  // namespace keyward::audit
