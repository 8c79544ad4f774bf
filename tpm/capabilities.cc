#include "tpm/capabilities.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <span>

namespace keyward::tpm {
namespace {

using Properties = std::map<TPM2_PT, uint32_t>;

// A property's four characters, without padding and whatever is not printable.
std::string TextOf(const Properties& properties, TPM2_PT property) {
  const auto found = properties.find(property);
  if (found == properties.end()) return {};
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const char character = static_cast<char>((found->second >> shift) & 0xff);
    if (character >= ' ' && character <= '~') text.push_back(character);
  }
  return text;
}

// Blanks that pad a part of several characters leave one between the words.
void Trim(std::string& text) {
  const auto both_blank = [](char a, char b) { return a == ' ' && b == ' '; };
  text.erase(std::ranges::unique(text, both_blank).begin(), text.end());
  text.erase(text.find_last_not_of(' ') + 1);
  text.erase(0, text.find_first_not_of(' '));
}

std::string Description(const Properties& properties) {
  std::string manufacturer = TextOf(properties, TPM2_PT_MANUFACTURER);
  std::string model;
  for (const TPM2_PT part : {TPM2_PT_VENDOR_STRING_1, TPM2_PT_VENDOR_STRING_2,
                             TPM2_PT_VENDOR_STRING_3, TPM2_PT_VENDOR_STRING_4}) {
    model += TextOf(properties, part);
  }
  Trim(manufacturer);
  Trim(model);
  const auto firmware = properties.find(TPM2_PT_FIRMWARE_VERSION_1);
  const uint32_t version = firmware == properties.end() ? 0 : firmware->second;
  return fmt::format("TPM 2.0 {} {}, firmware {:x}.{:x}", manufacturer, model, version >> 16,
                     version & 0xffff);
}

Result<Properties> ReadProperties(Connection& connection) {
  KEYWARD_ASSIGN(
      const EsysPtr<TPMS_CAPABILITY_DATA> data,
      GetCapability(connection, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, TPM2_MAX_TPM_PROPERTIES));
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  Properties properties;
  for (const TPMS_TAGGED_PROPERTY& entry : std::span(list.tpmProperty, list.count)) {
    properties[entry.property] = entry.value;
  }
  return properties;
}

Result<std::vector<Algorithm>> ReadAlgorithms(Connection& connection) {
  KEYWARD_ASSIGN(
      const EsysPtr<TPMS_CAPABILITY_DATA> data,
      GetCapability(connection, TPM2_CAP_ECC_CURVES, TPM2_ECC_NIST_P192, TPM2_MAX_ECC_CURVES));
  const TPML_ECC_CURVE& list = data->data.eccCurves;
  const std::span curves(list.eccCurves, list.count);
  const auto has = [curves](TPM2_ECC_CURVE curve) {
    return std::ranges::find(curves, curve) != curves.end();
  };
  std::vector<Algorithm> algorithms;  // the fastest first
  if (has(TPM2_ECC_NIST_P256)) algorithms.push_back(Algorithm::kEcdsaP256);
  if (has(TPM2_ECC_NIST_P384)) algorithms.push_back(Algorithm::kEcdsaP384);
  algorithms.push_back(Algorithm::kRsaPss2048);  // no TPM 2.0 is without it
  return algorithms;
}

}  // namespace

Result<EsysPtr<TPMS_CAPABILITY_DATA>> GetCapability(Connection& connection, TPM2_CAP capability,
                                                    uint32_t property, uint32_t count) {
  EsysPtr<TPMS_CAPABILITY_DATA> data;
  TPMI_YES_NO more = TPM2_NO;
  const Outcome outcome = connection.Run("TPM2_GetCapability", [&] {
    return Esys_GetCapability(connection.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              capability, property, count, &more, EsysOut(data));
  });
  KEYWARD_TRY(outcome.Check());
  return data;
}

Result<TpmFacts> ReadFacts(Connection& connection) {
  KEYWARD_ASSIGN(const Properties properties, ReadProperties(connection));
  KEYWARD_ASSIGN(std::vector<Algorithm> algorithms, ReadAlgorithms(connection));
  return TpmFacts{Description(properties), std::move(algorithms)};
}

}  // namespace keyward::tpm
