#include "audit/event.h"

#include <algorithm>
#include <array>

namespace keyward::audit {
namespace {

struct KindInfo {
  EventKind kind;
  std::string_view name;
};

constexpr std::array kKinds = {
    KindInfo{EventKind::kServiceInit, "service.init"},
    KindInfo{EventKind::kServiceStart, "service.start"},
    KindInfo{EventKind::kServiceStop, "service.stop"},
    KindInfo{EventKind::kServiceSeal, "service.seal"},
    KindInfo{EventKind::kServiceUnseal, "service.unseal"},
    KindInfo{EventKind::kServiceZeroize, "service.zeroize"},
    KindInfo{EventKind::kBootQuote, "boot.quote"},
    KindInfo{EventKind::kBootAttest, "boot.attest"},
    KindInfo{EventKind::kCustodianLost, "custodian.lost"},
    KindInfo{EventKind::kCustodianBack, "custodian.back"},
    KindInfo{EventKind::kCustodianConcern, "custodian.concern"},
    KindInfo{EventKind::kKeyGenerate, "key.generate"},
    KindInfo{EventKind::kKeyRotate, "key.rotate"},
    KindInfo{EventKind::kKeyPrepare, "key.prepare"},
    KindInfo{EventKind::kKeyActivate, "key.activate"},
    KindInfo{EventKind::kKeyRetire, "key.retire"},
    KindInfo{EventKind::kKeyRevoke, "key.revoke"},
    KindInfo{EventKind::kKeyDestroy, "key.destroy"},
    KindInfo{EventKind::kModuleEnrol, "module.enrol"},
    KindInfo{EventKind::kModuleRemove, "module.remove"},
    KindInfo{EventKind::kPeerEnrol, "peer.enrol"},
    KindInfo{EventKind::kPeerRemove, "peer.remove"},
    KindInfo{EventKind::kPeerRevoke, "peer.revoke"},
    KindInfo{EventKind::kListImport, "list.import"},
    KindInfo{EventKind::kListExport, "list.export"},
    KindInfo{EventKind::kPolicyReload, "policy.reload"},
    KindInfo{EventKind::kSessionOpen, "session.open"},
    KindInfo{EventKind::kSessionEnd, "session.end"},
    KindInfo{EventKind::kKeyOpen, "key.open"},
    KindInfo{EventKind::kKeyClose, "key.close"},
    KindInfo{EventKind::kKeySign, "key.sign"},
    KindInfo{EventKind::kBackupCreate, "backup.create"},
    KindInfo{EventKind::kBackupCheck, "backup.check"},
    KindInfo{EventKind::kBackupRestore, "backup.restore"},
    KindInfo{EventKind::kAuditExport, "audit.export"},
    KindInfo{EventKind::kAuditSign, "audit.sign"},
    KindInfo{EventKind::kAuditRestart, "audit.restart"},
    KindInfo{EventKind::kCallRefused, "call.refused"},
    KindInfo{EventKind::kPolicyPcr, "policy.pcr"},
    KindInfo{EventKind::kMasterSeal, "master.seal"},
    KindInfo{EventKind::kMasterForget, "master.forget"},
    KindInfo{EventKind::kMasterReseal, "master.reseal"},
    KindInfo{EventKind::kAuditBegin, "audit.begin"},
    KindInfo{EventKind::kAuditCheckpoint, "audit.checkpoint"},
    KindInfo{EventKind::kAuditRetention, "audit.retention"},
    KindInfo{EventKind::kAuditRepair, "audit.repair"},
    KindInfo{EventKind::kAuditFull, "audit.full"},
    KindInfo{EventKind::kAuditSpace, "audit.space"},
};

}  // namespace

std::string_view Name(EventKind kind) {
  const auto* const found = std::ranges::find(kKinds, kind, &KindInfo::kind);
  return found == kKinds.end() ? std::string_view() : found->name;
}

std::optional<EventKind> EventKindFromName(std::string_view name) {
  const auto* const found = std::ranges::find(kKinds, name, &KindInfo::name);
  if (found == kKinds.end()) return std::nullopt;
  return found->kind;
}

bool IsOfTheLog(EventKind kind) {
  switch (kind) {
    case EventKind::kAuditBegin:
    case EventKind::kAuditCheckpoint:
    case EventKind::kAuditRetention:
    case EventKind::kAuditRepair:
    case EventKind::kAuditFull:
    case EventKind::kAuditSpace:
      return true;
    default:
      return false;
  }
}

SafeText::SafeText(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const std::string next =
        IsPlain(c) ? std::string(1, c) : std::string{'%', kDigits[byte >> 4], kDigits[byte & 0xf]};
    if (text_.size() + next.size() > kMaxTextSize) return;
    text_ += next;
  }
}

}  // namespace keyward::audit
