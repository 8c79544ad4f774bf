#include "audit/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/encoding.h"
#include "core/timestamp.h"

namespace keyward::audit {
namespace {

Record::Detail ToDetail(const Event::Detail& detail) {
  Record::Detail out{.name = std::string(detail.name.name()), .value = uint64_t{0}};
  if (const auto* number = std::get_if<uint64_t>(&detail.value)) {
    out.value = std::min(*number, kMaxNumber);
  } else {
    out.value = std::get<SafeText>(detail.value).text();
  }
  return out;
}

std::string ValueOf(const Record::Detail& detail) {
  if (const auto* number = std::get_if<uint64_t>(&detail.value)) return std::to_string(*number);
  return fmt::format("\"{}\"", std::get<std::string>(detail.value));
}

std::string DetailOf(const Record& record) {
  std::string out;
  for (const Record::Detail& detail : record.detail) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\":{}", out.empty() ? "" : ",", detail.name,
                   ValueOf(detail));
  }
  return out;
}

std::string CheckpointOf(const Record& record) {
  if (!record.checkpoint) return {};
  const Checkpoint& checkpoint = *record.checkpoint;
  return fmt::format(
      R"(,"checkpoint":{{"log":"{}","through":{},"head":"{}","key":"{}","signature":"{}"}})",
      ToHex(checkpoint.log), checkpoint.through.seq, ToHex(checkpoint.through.hash),
      ToHex(checkpoint.key), ToHex(checkpoint.signature));
}

const Record::Detail* Find(const Record& record, std::string_view name) {
  const auto found = std::ranges::find(record.detail, name, &Record::Detail::name);
  return found == record.detail.end() ? nullptr : &*found;
}

}  // namespace

std::optional<uint64_t> Record::Number(std::string_view name) const {
  const Detail* found = Find(*this, name);
  const auto* number = found == nullptr ? nullptr : std::get_if<uint64_t>(&found->value);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

std::optional<std::string_view> Record::Text(std::string_view name) const {
  const Detail* found = Find(*this, name);
  const auto* text = found == nullptr ? nullptr : std::get_if<std::string>(&found->value);
  return text == nullptr ? std::nullopt : std::optional<std::string_view>(*text);
}

Result<Record> ToRecord(const Event& event) {
  Record record;
  record.event = event.kind;
  record.caller = event.caller;
  record.module = event.module.text();
  record.object = event.object.text();
  record.failed = event.failed;
  if (event.detail.size() > kMaxDetails) {
    return Fail(ErrorCode::kInvalidArgument, "an audit event has at most 8 details");
  }
  for (const Event::Detail& detail : event.detail) {
    if (Find(record, detail.name.name()) != nullptr) {
      return Fail(ErrorCode::kInvalidArgument, "an audit event has each detail once");
    }
    record.detail.push_back(ToDetail(detail));
  }
  return record;
}

std::string ComposeLine(const Record& record) {
  return fmt::format(
      R"({{"seq":{},"time":"{}"{},"event":"{}","caller":{},"module":"{}","object":"{}",)"
      R"("outcome":"{}","detail":{{{}}}{},"prev":"{}"}})",
      record.seq, FormatTimestamp(record.time),
      record.stepped_back ? R"(,"clock":"stepped back")" : "", Name(record.event),
      record.caller ? std::to_string(*record.caller) : R"("keyd")", record.module, record.object,
      record.failed ? Name(*record.failed) : "ok", DetailOf(record), CheckpointOf(record),
      ToHex(record.prev));
}

std::optional<LogId> LogIdIn(const Record& record) {
  if (record.checkpoint) return record.checkpoint->log;
  if (record.event != EventKind::kAuditBegin) return std::nullopt;
  const Result<Bytes> bytes = FromHex(record.Text("log").value_or(""));
  LogId id;
  if (!bytes || bytes->size() != id.size()) return std::nullopt;
  std::ranges::copy(*bytes, id.begin());
  return id;
}

}  // namespace keyward::audit
