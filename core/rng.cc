#include "core/rng.h"

#include <sodium.h>

namespace keyward {

void SystemRng::Fill(MutableBytes out) {
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

Bytes RandomBytes(Rng& rng, size_t size) {
  Bytes out(size);
  rng.Fill(out);
  return out;
}

}  // namespace keyward
