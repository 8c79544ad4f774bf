// A log on a FaultyDisk, a key that signs its checkpoints, and a verifier.
#pragma once

#include <sodium.h>

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "audit/log.h"
#include "audit/verify.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"
#include "tests/unit/audit/faulty_disk.h"

namespace keyward {

namespace audit {

// So that a failed assertion shows what is wrong with a log.
inline void PrintTo(const Report& report, std::ostream* out) {
  *out << report.records << " records";
  if (report.fault) {
    *out << ", " << Name(report.fault->kind) << " in line " << report.fault->line << ": "
         << report.fault->what;
  }
}

}  // namespace audit

namespace testing_support {

// An Ed25519 key of the test's own.
class TestSigner {
 public:
  TestSigner() { crypto_sign_keypair(public_.data(), secret_.data()); }
  PublicKey key() const { return PublicKey::FromEd25519(public_).value(); }
  Bytes Sign(ByteView message) const {
    Bytes signature(crypto_sign_BYTES);
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.data());
    return signature;
  }

 private:
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_{};
};

inline audit::Event SomeEvent(const std::string& object) {
  return {.kind = audit::EventKind::kKeySign,
          .caller = 1000,
          .module = audit::SafeText("frontend"),
          .object = audit::SafeText(object),
          .failed = std::nullopt,
          .detail = {{"version", uint64_t{2}}}};
}

inline std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

inline std::string TextOf(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

inline std::vector<audit::Record> RecordsOf(const std::string& text) {
  std::vector<audit::Record> records;
  for (const std::string& line : LinesOf(text)) {
    if (Result<audit::Record> record = audit::ParseLine(line))
      records.push_back(std::move(*record));
  }
  return records;
}

inline audit::Report VerifyText(const std::string& text, audit::Verifier::Options options) {
  audit::Verifier verifier(std::move(options));
  verifier.Push(text);
  return verifier.Finish();
}

class AuditTest : public ::testing::Test {
 protected:
  Result<audit::Log> Open(const std::optional<audit::Head>& expected = {}) {
    return audit::Log::Open(
        disk_.Open(), clock_, rng_,
        {.limits = limits_, .expected_head = expected, .signers = {signer_.key()}});
  }
  // As whoever may write to the disk can: the chain has no key.
  void Plant(audit::EventKind kind, std::vector<audit::Record::Detail> detail,
             std::optional<audit::Checkpoint> checkpoint = {}) {
    const std::vector<std::string> lines = LinesOf(disk_.Contents());
    audit::Record record = RecordsOf(disk_.Contents()).back();
    ++record.seq;
    record.stepped_back = false;
    record.event = kind;
    record.caller.reset();
    record.module = record.object = "";
    record.detail = std::move(detail);
    record.checkpoint = std::move(checkpoint);
    record.prev = audit::HashOf(lines.back());
    disk_.Segment(disk_.Open()->List().value().back().first_seq) +=
        audit::ComposeLine(record) + "\n";
  }
  Result<void> Sign(audit::Log& log) const {
    const std::optional<Bytes> message = log.CheckpointMessage();
    if (!message) return Fail(ErrorCode::kNotFound, "nothing to sign");
    return log.AddCheckpoint(signer_.Sign(*message), signer_.key());
  }
  // Where nothing is known from elsewhere, nothing has to be kept there.
  static Result<size_t> Retain(audit::Log& log) {
    KEYWARD_ASSIGN(const audit::Log::Removal removal, log.Retain([] { return Result<void>(); }));
    return removal.segments;
  }
  audit::Report Verify(const std::string& text, const std::optional<audit::Head>& head = {}) const {
    return VerifyText(text, {.keys = {signer_.key()}, .head = head});
  }
  // Without the keys.
  static audit::Report VerifyChain(const std::string& text,
                                   const std::optional<audit::Head>& head = {}) {
    return VerifyText(text, {.keys = {}, .head = head});
  }
  // The objects of the events that are not the log's own.
  std::vector<std::string> ObjectsOnDisk() const {
    std::vector<std::string> objects;
    for (const audit::Record& record : RecordsOf(disk_.Contents())) {
      if (!audit::IsOfTheLog(record.event)) objects.push_back(record.object);
    }
    return objects;
  }
  size_t CountOnDisk(audit::EventKind kind) const {
    const std::vector<audit::Record> records = RecordsOf(disk_.Contents());
    return static_cast<size_t>(std::ranges::count(records, kind, &audit::Record::event));
  }

  FakeClock clock_;
  SystemRng rng_;
  FaultyDisk disk_;
  TestSigner signer_;
  audit::Log::Limits limits_;
};

MATCHER(IsValid, "is a valid log") { return !arg.fault; }

MATCHER_P2(HasFault, kind, line, std::string(audit::Name(kind)) + " in the line") {
  return arg.fault && arg.fault->kind == kind && arg.fault->line == static_cast<uint64_t>(line);
}

}  // namespace testing_support
}  // namespace keyward
