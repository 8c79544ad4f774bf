// Big-endian integers, length-prefixed fields and hex, read with bounds.
#pragma once

#include <concepts>
#include <string>

#include "core/bytes.h"
#include "core/result.h"

namespace keyward {

// Appends to a byte vector. All integers are big-endian.
class Writer {
 public:
  template <std::unsigned_integral T>
  Writer& Integer(T value) {
    for (size_t shift = sizeof(T); shift-- > 0;) {
      out_.push_back(static_cast<uint8_t>(value >> (8 * shift)));
    }
    return *this;
  }
  Writer& Raw(ByteView bytes) {
    Append(out_, bytes);
    return *this;
  }
  // A length of type T, then the bytes. `bytes` must be no longer than T can say.
  template <std::unsigned_integral T>
  Writer& Field(ByteView bytes) {
    return Integer(static_cast<T>(bytes.size())).Raw(bytes);
  }
  Bytes Take() { return std::move(out_); }

 private:
  Bytes out_;
};

// Walks over somebody else's bytes, which must outlive it. Every read fails with kMalformed when
// too little is left, and then leaves the position as it was.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  Result<T> Integer() {
    KEYWARD_ASSIGN(const ByteView bytes, Raw(sizeof(T)));
    T value = 0;
    for (const uint8_t byte : bytes) value = static_cast<T>((value << 7 << 1) | byte);
    return value;
  }
  Result<ByteView> Raw(size_t size);
  template <std::unsigned_integral T>
  Result<ByteView> Field() {
    Reader ahead = *this;
    KEYWARD_ASSIGN(const T size, ahead.Integer<T>());
    KEYWARD_ASSIGN(const ByteView bytes, ahead.Raw(size));
    *this = ahead;
    return bytes;
  }
  ByteView Rest() const { return rest_; }
  // kMalformed unless everything was read.
  Result<void> End() const;

 private:
  ByteView rest_;
};

// Lower-case hex of public bytes.
std::string ToHex(ByteView bytes);
// Errors: kMalformed for an odd length or a character that is no hex digit.
Result<Bytes> FromHex(std::string_view text);

}  // namespace keyward
