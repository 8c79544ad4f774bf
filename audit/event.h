// What is audited: a closed set of events, whose values are numbers and short, safe names, so that
// neither a secret nor a payload nor a forged line finds its way into the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"

namespace keyward::audit {

// The names are those of docs/AUDIT_FORMAT.md: "key.generate" and so on. The order here is in no
// file.
enum class EventKind : uint8_t {
  kServiceInit,
  kServiceStart,
  kServiceStop,
  kServiceSeal,
  kServiceUnseal,
  kServiceZeroize,  // what destroying everything came to
  kBootQuote,       // the TPM quoted this boot anew
  kBootAttest,      // a quote was given out
  kCustodianLost,
  kCustodianBack,
  kCustodianConcern,  // it serves, and is not as it should be
  kKeyGenerate,
  kKeyRotate,
  kKeyPrepare,
  kKeyActivate,
  kKeyRetire,
  kKeyRevoke,
  kKeyDestroy,
  kModuleEnrol,
  kModuleRemove,
  kPeerEnrol,
  kPeerRemove,
  kPeerRevoke,
  kListImport,
  kListExport,
  kPolicyReload,
  kSessionOpen,
  kSessionEnd,
  kKeyOpen,
  kKeyClose,
  kKeySign,
  kBackupCreate,
  kBackupCheck,
  kBackupRestore,
  kAuditExport,
  kAuditSign,     // an admin has the log signed
  kAuditRestart,  // an admin vouched for a log that lacks records, and this one begins
  kCallRefused,   // a call on the bus that the caller may not make
  kPolicyPcr,     // a signed PCR policy was added
  kMasterSeal,    // a second seal of the master key is made
  kMasterForget,  // it is destroyed
  kMasterReseal,  // the master key moves to another home, by its second seal
  // These the log writes itself.
  kAuditBegin,       // the first record: "format" and "log", the log's id
  kAuditCheckpoint,  // a signature over the chain
  kAuditRetention,   // old records go: "first_kept", "removed"
  kAuditRepair,      // an incomplete last line was cut off: "bytes"
  kAuditFull,        // the reserve is all the space that is left
  kAuditSpace,       // there is space again
};

std::string_view Name(EventKind kind);
std::optional<EventKind> EventKindFromName(std::string_view name);
// Whether only the log itself writes such events.
bool IsOfTheLog(EventKind kind);

inline constexpr size_t kMaxTextSize = 128;
inline constexpr size_t kMaxDetails = 8;
inline constexpr size_t kMaxDetailNameSize = 32;
// The largest number of a record (2^53 - 1), which every reader of JSON keeps exact.
inline constexpr uint64_t kMaxNumber = (uint64_t{1} << 53) - 1;

// Of a text's characters, those that stand for themselves; '%' begins the escape of any other.
constexpr bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(" ._:/@+=,-").find(c) != std::string_view::npos;
}

// [a-z][a-z_]{0,31}
constexpr bool IsDetailName(std::string_view name) {
  if (name.empty() || name.size() > kMaxDetailNameSize || name.front() == '_') return false;
  for (const char c : name) {
    if ((c < 'a' || c > 'z') && c != '_') return false;
  }
  return true;
}

// A name that cannot break its line: plain characters, every other byte as %XX, at most
// kMaxTextSize in all. What is longer is cut before the escape that would not fit.
class SafeText {
 public:
  SafeText() = default;
  explicit SafeText(std::string_view text);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// A name out of the source code, so that no data becomes one: `DetailName("sealed")`.
class DetailName {
 public:
  template <size_t N>
  consteval DetailName(const char (&name)[N])  // NOLINT: details read better without
      : name_(name, N - 1) {
    if (!IsDetailName(name_)) throw "not the name of a detail";
  }
  std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

struct Event {
  struct Detail {
    DetailName name;
    std::variant<uint64_t, SafeText> value;  // numbers above kMaxNumber are written as that
  };

  EventKind kind;
  std::optional<uint32_t> caller;  // the uid of who asked; nothing is keyd itself
  SafeText module;
  SafeText object;                  // the key, session, peer, file ... that it was about
  std::optional<ErrorCode> failed;  // why; nothing is success
  std::vector<Detail> detail;       // at most kMaxDetails, each name once
};

}  // namespace keyward::audit
