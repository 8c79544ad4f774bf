#include "hsm/hsm_counter.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "core/encoding.h"
#include "hsm/destroy.h"

namespace keyward::hsm {
namespace {

constexpr uint64_t kFirst = 1;

struct Value {
  CK_OBJECT_HANDLE object;
  uint64_t number;
};

Bytes Encode(const KeyId& id, uint64_t number) { return Writer().Raw(id).Integer(number).Take(); }

Result<uint64_t> Decode(ByteView value, const KeyId& id) {
  Reader reader(value);
  KEYWARD_ASSIGN(const ByteView named, reader.Raw(id.size()));
  KEYWARD_ASSIGN(const uint64_t number, reader.Integer<uint64_t>());
  KEYWARD_TRY(reader.End());
  if (!std::ranges::equal(named, id)) return Fail(ErrorCode::kMalformed, "of another counter");
  return number;
}

// What cannot be read, or is gone since it was found, counts for nothing.
Result<std::vector<Value>> Values(const Session& session, const KeyId& id) {
  KEYWARD_ASSIGN(const std::vector<CK_OBJECT_HANDLE> found, session.Find(FindCounterValues(id)));
  if (found.size() == Session::kMaxFound) {
    return Fail(ErrorCode::kDataCorrupt,
                "the HSM token holds more values of a counter than anybody made: remove those that "
                "keyd did not");
  }
  std::vector<Value> values;
  for (const CK_OBJECT_HANDLE object : found) {
    const Result<Bytes> value = session.Attribute(object, CKA_VALUE);
    if (!value && (value.error().code() == ErrorCode::kDataCorrupt ||
                   value.error().code() == ErrorCode::kNotFound)) {
      continue;
    }
    KEYWARD_TRY(value);
    if (const Result<uint64_t> number = Decode(*value, id)) values.push_back({object, *number});
  }
  return values;
}

Result<uint64_t> Highest(const std::vector<Value>& values) {
  const auto highest = std::ranges::max_element(values, {}, &Value::number);
  if (highest != values.end()) return highest->number;
  return Fail(ErrorCode::kNotFound, "the HSM token holds no such counter");
}

Result<uint64_t> Latest(const Session& session, const KeyId& id) {
  KEYWARD_ASSIGN(const std::vector<Value> values, Values(session, id));
  return Highest(values);
}

Result<uint64_t> Advance(const Session& session, const KeyId& id, uint64_t number) {
  KEYWARD_TRY(session.Create(NewCounterValue(id, Encode(id, number))));
  KEYWARD_ASSIGN(const std::vector<Value> values, Values(session, id));
  const Result<uint64_t> latest = Highest(values);
  if (!latest || *latest < number) {
    return Fail(ErrorCode::kCustodianUnavailable, "the HSM token did not keep a counter's value");
  }
  // It counts already. A lower value that stays harms nothing: the next count tries again.
  for (const Value& value : values) {
    if (value.number >= number) continue;
    [[maybe_unused]] const Result<void> destroyed = session.Destroy(value.object);
  }
  return number;
}

}  // namespace

Result<uint64_t> HsmCounter::Create(const KeyId& id) {
  const std::scoped_lock lock(link_.access().making_mutex());
  const Result<uint64_t> existing = ReadLocked(id);
  if (existing) return Fail(ErrorCode::kAlreadyExists, "the counter exists already");
  if (existing.error().code() != ErrorCode::kNotFound) return existing;
  return link_.RunOnce([&](const Session& session) { return Advance(session, id, kFirst); });
}

Result<uint64_t> HsmCounter::Read(const KeyId& id) {
  const std::scoped_lock lock(link_.access().making_mutex());
  return ReadLocked(id);
}

Result<uint64_t> HsmCounter::ReadLocked(const KeyId& id) {
  return link_.Run([&](const Session& session) { return Latest(session, id); });
}

Result<uint64_t> HsmCounter::Increment(const KeyId& id) {
  const std::scoped_lock lock(link_.access().making_mutex());
  // Reading may be repeated on a new session, making may not: it would count twice.
  KEYWARD_TRY(ReadLocked(id));
  return link_.RunOnce([&](const Session& session) -> Result<uint64_t> {
    KEYWARD_ASSIGN(const uint64_t last, Latest(session, id));
    if (last == std::numeric_limits<uint64_t>::max()) {
      return Fail(ErrorCode::kDataCorrupt, "the counter cannot count any further");
    }
    return Advance(session, id, last + 1);
  });
}

Result<void> HsmCounter::Destroy(const KeyId& id) {
  const std::scoped_lock lock(link_.access().making_mutex());
  const auto find = [&](const Session& session) { return session.Find(FindCounterValues(id)); };
  return link_.Run([&](const Session& session) { return DestroyFound(session, find); });
}

}  // namespace keyward::hsm
