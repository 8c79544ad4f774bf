// Reads a line in the one form that ComposeLine writes: its members in their order, nothing else.
#include <algorithm>
#include <charconv>

#include "audit/record.h"
#include "core/encoding.h"
#include "core/timestamp.h"

namespace keyward::audit {
namespace {

std::unexpected<Error> Malformed(const std::string& what) {
  return Fail(ErrorCode::kMalformed, what);
}

constexpr bool IsUpperHex(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); }
constexpr bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// Plain characters, and %XX for those that are not.
bool IsSafe(std::string_view text) {
  if (text.size() > kMaxTextSize) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsPlain(text[i])) continue;
    if (text[i] != '%' || text.size() - i < 3) return false;
    if (!IsUpperHex(text[i + 1]) || !IsUpperHex(text[i + 2])) return false;
    int byte = 0;
    std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
    if (IsPlain(static_cast<char>(byte))) return false;  // would be a second way to write it
    i += 2;
  }
  return true;
}

class Cursor {
 public:
  explicit Cursor(std::string_view line) : rest_(line) {}

  bool Skip(std::string_view literal) {
    if (!rest_.starts_with(literal)) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  Result<void> Expect(std::string_view literal) {
    if (Skip(literal)) return {};
    return Malformed("it does not have the members of a record in their order");
  }
  // Decimal, without leading zeros.
  Result<uint64_t> Number(uint64_t max) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    const auto size = static_cast<size_t>(end - rest_.data());
    if (error != std::errc() || number > max || (size > 1 && rest_.front() == '0')) {
      return Malformed("a number is not valid");
    }
    rest_.remove_prefix(size);
    return number;
  }
  // Up to the quote that ends it; there are no escapes.
  Result<std::string_view> Quoted() {
    KEYWARD_TRY(Expect("\""));
    const size_t size = rest_.find('"');
    if (size == std::string_view::npos) return Malformed("a text does not end");
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return text;
  }
  Result<std::string_view> Safe() {
    KEYWARD_ASSIGN(const std::string_view text, Quoted());
    if (!IsSafe(text)) return Malformed("a text has characters or a length that no record has");
    return text;
  }
  Result<Bytes> Hex() {
    KEYWARD_ASSIGN(const std::string_view text, Quoted());
    if (!std::ranges::all_of(text, IsLowerHex)) return Malformed("hex is not valid");
    return FromHex(text);
  }
  template <size_t N>
  Result<std::array<uint8_t, N>> Hex() {
    KEYWARD_ASSIGN(const Bytes bytes, Hex());
    std::array<uint8_t, N> out;
    if (bytes.size() != N) return Malformed("hex has another length");
    std::ranges::copy(bytes, out.begin());
    return out;
  }
  Result<void> End() const {
    return rest_.empty() ? Result<void>() : Malformed("something follows the record");
  }

 private:
  std::string_view rest_;
};

Result<void> ReadTime(Cursor& at, Record& record) {
  KEYWARD_TRY(at.Expect(R"(,"time":)"));
  KEYWARD_ASSIGN(const std::string_view text, at.Quoted());
  const std::optional<WallTime> time = ParseTimestamp(text);
  if (!time) return Malformed("the time is not valid");
  record.time = *time;
  record.stepped_back = at.Skip(R"(,"clock":"stepped back")");
  return {};
}

Result<void> ReadEvent(Cursor& at, Record& record) {
  KEYWARD_TRY(at.Expect(R"(,"event":)"));
  KEYWARD_ASSIGN(const std::string_view name, at.Quoted());
  const std::optional<EventKind> event = EventKindFromName(name);
  if (!event) return Malformed("the event is none that this version of Keyward knows");
  record.event = *event;
  return {};
}

Result<void> ReadCaller(Cursor& at, Record& record) {
  KEYWARD_TRY(at.Expect(R"(,"caller":)"));
  if (at.Skip(R"("keyd")")) return {};
  KEYWARD_ASSIGN(const uint64_t uid, at.Number(UINT32_MAX));
  record.caller = static_cast<uint32_t>(uid);
  return {};
}

Result<void> ReadNames(Cursor& at, Record& record) {
  KEYWARD_TRY(at.Expect(R"(,"module":)"));
  KEYWARD_ASSIGN(record.module, at.Safe());
  KEYWARD_TRY(at.Expect(R"(,"object":)"));
  KEYWARD_ASSIGN(record.object, at.Safe());
  return {};
}

Result<void> ReadOutcome(Cursor& at, Record& record) {
  KEYWARD_TRY(at.Expect(R"(,"outcome":)"));
  KEYWARD_ASSIGN(const std::string_view name, at.Quoted());
  if (name == "ok") return {};
  record.failed = ErrorCodeFromName(name);
  if (!record.failed) return Malformed("the outcome is none that this version of Keyward knows");
  return {};
}

Result<Record::Detail> ReadDetail(Cursor& at) {
  KEYWARD_ASSIGN(const std::string_view name, at.Quoted());
  if (!IsDetailName(name)) return Malformed("a detail's name is not valid");
  KEYWARD_TRY(at.Expect(":"));
  Record::Detail detail{.name = std::string(name), .value = uint64_t{0}};
  Cursor ahead = at;
  if (ahead.Skip("\"")) {
    KEYWARD_ASSIGN(const std::string_view text, at.Safe());
    detail.value = std::string(text);
  } else {
    KEYWARD_ASSIGN(detail.value, at.Number(kMaxNumber));
  }
  return detail;
}

Result<void> ReadDetails(Cursor& at, Record& record) {
  KEYWARD_TRY(at.Expect(R"(,"detail":{)"));
  if (at.Skip("}")) return {};
  do {
    KEYWARD_ASSIGN(Record::Detail detail, ReadDetail(at));
    const auto same = std::ranges::find(record.detail, detail.name, &Record::Detail::name);
    if (same != record.detail.end() || record.detail.size() == kMaxDetails)
      return Malformed("the details are not valid");
    record.detail.push_back(std::move(detail));
  } while (at.Skip(","));
  return at.Expect("}");
}

Result<void> ReadCheckpoint(Cursor& at, Record& record) {
  if (record.event != EventKind::kAuditCheckpoint) return {};
  Checkpoint checkpoint{};
  KEYWARD_TRY(at.Expect(R"(,"checkpoint":{"log":)"));
  KEYWARD_ASSIGN(checkpoint.log, at.Hex<checkpoint.log.size()>());
  KEYWARD_TRY(at.Expect(R"(,"through":)"));
  KEYWARD_ASSIGN(checkpoint.through.seq, at.Number(kMaxNumber));
  if (checkpoint.through.seq == 0) return Malformed("records are counted from 1");
  KEYWARD_TRY(at.Expect(R"(,"head":)"));
  KEYWARD_ASSIGN(checkpoint.through.hash, at.Hex<checkpoint.through.hash.size()>());
  KEYWARD_TRY(at.Expect(R"(,"key":)"));
  KEYWARD_ASSIGN(checkpoint.key, at.Hex<checkpoint.key.size()>());
  KEYWARD_TRY(at.Expect(R"(,"signature":)"));
  KEYWARD_ASSIGN(checkpoint.signature, at.Hex());
  if (checkpoint.signature.size() > kMaxSignatureSize) return Malformed("a signature is too long");
  KEYWARD_TRY(at.Expect("}"));
  record.checkpoint = std::move(checkpoint);
  return {};
}

}  // namespace

Result<Record> ParseLine(std::string_view line) {
  if (line.size() >= kMaxLine) return Malformed("the line is longer than a record can be");
  Cursor at(line);
  Record record;
  KEYWARD_TRY(at.Expect(R"({"seq":)"));
  KEYWARD_ASSIGN(record.seq, at.Number(kMaxNumber));
  if (record.seq == 0) return Malformed("records are counted from 1");
  KEYWARD_TRY(ReadTime(at, record));
  KEYWARD_TRY(ReadEvent(at, record));
  KEYWARD_TRY(ReadCaller(at, record));
  KEYWARD_TRY(ReadNames(at, record));
  KEYWARD_TRY(ReadOutcome(at, record));
  KEYWARD_TRY(ReadDetails(at, record));
  KEYWARD_TRY(ReadCheckpoint(at, record));
  KEYWARD_TRY(at.Expect(R"(,"prev":)"));
  KEYWARD_ASSIGN(record.prev, at.Hex<record.prev.size()>());
  KEYWARD_TRY(at.Expect("}"));
  KEYWARD_TRY(at.End());
  return record;
}

}  // namespace keyward::audit
