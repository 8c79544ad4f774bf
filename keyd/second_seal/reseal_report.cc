#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "keyd/second_seal/reseal.h"

namespace keyward {
namespace {

using Json = nlohmann::ordered_json;

Json LostJson(const std::vector<LostVersion>& lost) {
  Json rows = Json::array();
  for (const LostVersion& version : lost) {
    const Result<PublicKey> key = PublicKey::FromSpki(version.spki);
    rows.push_back({{"name", version.key},
                    {"version", version.number},
                    {"custody", Name(version.custody)},
                    {"custodian", version.custodian},
                    {"fingerprint", key ? ToHex(key->Fingerprint()) : std::string()}});
  }
  return rows;
}

}  // namespace

std::string ReportOf(const Resealing& resealing) {
  const Json report = {{"opened_by", resealing.opened_by},
                       {"former", resealing.former},
                       {"former_answers", resealing.former_answers},
                       {"custodian", resealing.custodian},
                       {"epoch", resealing.epoch},
                       {"last_change_ms", resealing.last_change.time_since_epoch().count()},
                       {"audit_record", resealing.audit_record},
                       {"lost", LostJson(resealing.lost)},
                       {"second", resealing.second},
                       {"leftovers", resealing.leftovers}};
  return report.dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace keyward
