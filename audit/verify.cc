#include "audit/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace keyward::audit {
namespace {

struct FaultInfo {
  FaultKind kind;
  std::string_view name;
};

constexpr std::array kFaults = {
    FaultInfo{FaultKind::kEmpty, "empty"},
    FaultInfo{FaultKind::kMalformed, "malformed"},
    FaultInfo{FaultKind::kTruncated, "truncated"},
    FaultInfo{FaultKind::kAltered, "altered"},
    FaultInfo{FaultKind::kRemoved, "removed"},
    FaultInfo{FaultKind::kReordered, "reordered"},
    FaultInfo{FaultKind::kDuplicated, "duplicated"},
    FaultInfo{FaultKind::kBadSignature, "bad-signature"},
    FaultInfo{FaultKind::kUnknownKey, "unknown-key"},
    FaultInfo{FaultKind::kUnsigned, "unsigned"},
    FaultInfo{FaultKind::kBeginningRemoved, "beginning-removed"},
    FaultInfo{FaultKind::kEndRemoved, "end-removed"},
};

}  // namespace

std::string_view Name(FaultKind kind) {
  const auto* const found = std::ranges::find(kFaults, kind, &FaultInfo::kind);
  return found == kFaults.end() ? std::string_view() : found->name;
}

Verifier::Verifier(Options options)
    : options_(std::move(options)), lines_([this](std::string_view line) { Take(line); }) {}

void Verifier::Blame(FaultKind kind, uint64_t line, uint64_t seq, std::string what) {
  if (!report_.fault) report_.fault = Fault{kind, line, seq, std::move(what)};
}

// The record that this line holds, or should hold.
void Verifier::BlameThis(FaultKind kind, const std::string& what) {
  const uint64_t seq = report_.records == 0 ? 0 : report_.last.seq + 1;
  const std::string record = seq == 0 ? "the first record" : fmt::format("record {}", seq);
  Blame(kind, line_, seq, record + " " + what);
}

const Hash* Verifier::HashOfRecord(uint64_t seq) const {
  if (seq > report_.last.seq || report_.last.seq - seq >= recent_.size()) return nullptr;
  return &recent_[recent_.size() - 1 - (report_.last.seq - seq)];
}

void Verifier::Take(std::string_view line) {
  ++line_;
  if (report_.fault) return Explain(line);
  const Result<Record> record = ParseLine(line);
  if (!record) return BlameThis(FaultKind::kMalformed, "is malformed: " + record.error().message());
  Check(*record, line);
}

void Verifier::Check(const Record& record, std::string_view line) {
  const Hash hash = HashOf(line);
  if (report_.records == 0) {
    CheckFirst(record);
  } else {
    CheckPlace(record, hash);
  }
  if (!report_.fault) CheckContent(record, hash);
  if (!report_.fault) Accept(record, hash);
}

void Verifier::CheckFirst(const Record& record) {
  id_ = LogIdIn(record);
  if (!id_ || (record.event == EventKind::kAuditBegin) != (record.seq == 1)) {
    return Blame(FaultKind::kBeginningRemoved, line_, record.seq,
                 fmt::format("record {} begins the file, and a log begins with record 1 or, after "
                             "a retention, with a checkpoint",
                             record.seq));
  }
  if (record.seq == 1 && record.prev != Genesis(*id_)) {
    return Blame(FaultKind::kAltered, line_, 1, "record 1 was altered");
  }
  report_.first_seq = record.seq;
  report_.last = {record.seq - 1, record.prev};
  before_first_ = record.prev;
  last_time_ = record.time;  // nothing is known of the one before
  head_seen_ = options_.head == report_.last;
}

void Verifier::CheckPlace(const Record& record, const Hash& hash) {
  const uint64_t expected = report_.last.seq + 1;
  const bool linked = record.prev == report_.last.hash;
  if (record.seq == expected && linked) return;
  if (linked) return BlameThis(FaultKind::kAltered, "was altered");
  if (record.seq == expected) {
    suspect_ = hash;
    --report_.records;
    return Blame(FaultKind::kAltered, line_ - 1, report_.last.seq,
                 fmt::format("record {} or the one after it was altered", report_.last.seq));
  }
  if (record.seq > expected) {
    return Blame(FaultKind::kRemoved, line_, expected,
                 fmt::format("record {} is missing: record {} follows record {}", expected,
                             record.seq, report_.last.seq));
  }
  const Hash* const before = HashOfRecord(record.seq);
  if (before != nullptr && *before == hash) {
    return Blame(FaultKind::kDuplicated, line_, record.seq,
                 fmt::format("record {} is there twice", record.seq));
  }
  Blame(FaultKind::kReordered, line_, record.seq,
        fmt::format("record {} stands where record {} should", record.seq, expected));
}

void Verifier::CheckContent(const Record& record, const Hash& hash) {
  if (record.stepped_back != (record.time < last_time_) && record.seq != report_.first_seq) {
    return BlameThis(FaultKind::kAltered, "was altered: its time does not fit the one before");
  }
  const std::optional<LogId> id = LogIdIn(record);
  if ((id && id != id_) || (record.event == EventKind::kAuditBegin && record.seq != 1)) {
    return BlameThis(FaultKind::kAltered, "was altered: it is another log's");
  }
  if (options_.head && options_.head->seq == record.seq) {
    if (options_.head->hash != hash) {
      return BlameThis(FaultKind::kAltered, "was altered: it is not the one that is known");
    }
    head_seen_ = true;
  }
  if (record.checkpoint) CheckCheckpoint(record);
}

void Verifier::CheckCheckpoint(const Record& record) {
  const Head& through = record.checkpoint->through;
  const bool before_all = through.seq < report_.first_seq;
  const Hash* known = HashOfRecord(through.seq);
  if (before_all && through.seq + 1 == report_.first_seq) known = &before_first_;
  const bool in_time = through.seq < record.seq && record.seq - through.seq <= kMaxCheckpointLag;
  if (!in_time || (known == nullptr && !before_all) ||
      (known != nullptr && *known != through.hash)) {
    return BlameThis(FaultKind::kAltered, "was altered: it signs another chain");
  }
  CheckSignature(record);
}

void Verifier::CheckSignature(const Record& record) {
  if (options_.keys.empty()) return;
  const Checkpoint& checkpoint = *record.checkpoint;
  const auto key = std::ranges::find_if(options_.keys, [&](const PublicKey& candidate) {
    return std::ranges::equal(candidate.Fingerprint(), checkpoint.key);
  });
  if (key == options_.keys.end()) {
    return BlameThis(FaultKind::kUnknownKey, "is a checkpoint signed by none of the given keys");
  }
  if (!key->Verify(CheckpointStatement(checkpoint.log, checkpoint.through), checkpoint.signature)) {
    return BlameThis(FaultKind::kBadSignature, "is a checkpoint whose signature does not verify");
  }
  ++report_.verified;
  report_.signed_through = checkpoint.through.seq;
}

void Verifier::Accept(const Record& record, const Hash& hash) {
  ++report_.records;
  if (record.checkpoint) ++report_.checkpoints;
  report_.last = {record.seq, hash};
  last_time_ = record.time;
  if (record.event == EventKind::kAuditRetention) {
    first_kept_ = std::max(first_kept_, record.Number("first_kept").value_or(0));
  }
  recent_.push_back(hash);
  if (recent_.size() > kMaxCheckpointLag) recent_.pop_front();
}

void Verifier::Explain(std::string_view line) {
  if (!suspect_ && report_.fault->kind != FaultKind::kRemoved) return;
  const Result<Record> record = ParseLine(line);
  if (suspect_ && record) {
    // The record after it knows whether the suspect is as it was written.
    Fault& fault = *report_.fault;
    if (record->prev != *suspect_) {
      ++fault.line;
      ++fault.seq;
      ++report_.records;
    }
    fault.what = fmt::format("record {} was altered", fault.seq);
  }
  suspect_.reset();
  if (record && report_.fault->kind == FaultKind::kRemoved && record->seq == report_.fault->seq) {
    report_.fault->kind = FaultKind::kReordered;
    report_.fault->what =
        fmt::format("record {} stands further down, in line {}", record->seq, line_);
  }
}

void Verifier::BlameEnd() {
  const uint64_t next = report_.last.seq + 1;
  if (lines_.unfinished() > 0) {
    return Blame(FaultKind::kTruncated, line_ + 1, report_.records == 0 ? 0 : next,
                 "the last line does not end");
  }
  if (report_.records == 0) return Blame(FaultKind::kEmpty, 1, 0, "there is no record");
  if (report_.first_seq > 1 && first_kept_ < report_.first_seq) {
    return Blame(FaultKind::kBeginningRemoved, 1, report_.first_seq,
                 fmt::format("record {} begins the file, and no retention tells that those before "
                             "it were removed",
                             report_.first_seq));
  }
  if (options_.head && !head_seen_) {
    const bool late = options_.head->seq > report_.last.seq;
    return Blame(late ? FaultKind::kEndRemoved : FaultKind::kBeginningRemoved, late ? line_ + 1 : 1,
                 late ? next : options_.head->seq,
                 fmt::format("record {}, which is known, is missing", options_.head->seq));
  }
  if (!options_.keys.empty() && report_.verified == 0) {
    Blame(FaultKind::kUnsigned, line_, report_.last.seq,
          "there is no checkpoint, so nothing is signed");
  }
}

// A record that does not fit is the last one: the one that is known may tell.
void Verifier::ExplainLast() {
  Fault& fault = *report_.fault;
  const bool knows_before = head_seen_ && options_.head->seq == fault.seq;
  const bool knows_this = options_.head && options_.head->seq == fault.seq + 1;
  if (!knows_before && !knows_this) return;
  if (knows_before || options_.head->hash != *suspect_) {
    ++fault.line;
    ++fault.seq;
    ++report_.records;
  }
  fault.what = fmt::format("record {} was altered", fault.seq);
}

Report Verifier::Finish() {
  if (suspect_) ExplainLast();
  if (!report_.fault) BlameEnd();
  return report_;
}

}  // namespace keyward::audit
