#include "keyctl/quote_export.h"

#include <openssl/evp.h>

#include <array>

#include "core/encoding.h"
#include "keyctl/file.h"

namespace keyward::keyctl {
namespace {

namespace fs = std::filesystem;

// TPM 2.0 part 2, 10.6.2 and 10.9.7, and tss2_tpm2_types.h for the sizes of its arrays.
constexpr uint16_t kSha256 = 0x000b;
constexpr size_t kBanks = 16;          // of a TPML_PCR_SELECTION
constexpr size_t kSelectSize = 4;      // bytes of a TPMS_PCR_SELECTION's pcrSelect
constexpr size_t kListed = 8;          // digests of a TPML_DIGEST
constexpr size_t kLargestDigest = 64;  // bytes of a TPM2B_DIGEST's buffer

template <class T>
void AppendLittleEndian(Bytes& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void AppendSelection(Bytes& out, const PcrValues& values) {
  uint32_t bits = 0;
  for (const auto& [pcr, value] : values) bits |= uint32_t{1} << pcr;
  constexpr uint8_t kUsedOfSelect = kPcrCount / 8;
  AppendLittleEndian(out, uint32_t{1});
  AppendLittleEndian(out, kSha256);
  out.push_back(kUsedOfSelect);
  AppendLittleEndian(out, bits);
  out.push_back(0);  // padding to the alignment of hash
  constexpr size_t kBankSize = sizeof(kSha256) + 1 + kSelectSize + 1;
  out.insert(out.end(), (kBanks - 1) * kBankSize, 0);
}

std::string Base64(ByteView bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  std::vector<uint8_t> encoded(text.size() + 1);  // and the NUL that it writes
  EVP_EncodeBlock(encoded.data(), bytes.data(), static_cast<int>(bytes.size()));
  text.assign(encoded.begin(), encoded.end() - 1);
  return text;
}

}  // namespace

Result<Bytes> ParseNonce(const std::string& text) {
  if (text == "boot") return Bytes();
  Result<Bytes> nonce = FromHex(text);
  if (nonce && !nonce->empty() && nonce->size() <= kMaxQuoteNonce) return nonce;
  return Fail(ErrorCode::kInvalidArgument,
              "a nonce is 2 to 64 hex digits, an even number of them; or 'boot'");
}

Bytes PcrFileOf(const PcrValues& values) {
  Bytes file;
  AppendSelection(file, values);
  const size_t lists = (values.size() + kListed - 1) / kListed;
  AppendLittleEndian(file, static_cast<uint32_t>(lists));
  auto next = values.begin();
  for (size_t list = 0; list < lists; ++list) {
    const auto count = std::min(kListed, static_cast<size_t>(std::distance(next, values.end())));
    AppendLittleEndian(file, static_cast<uint32_t>(count));
    for (size_t i = 0; i < kListed; ++i) {
      const bool used = i < count;
      AppendLittleEndian(file, static_cast<uint16_t>(used ? next->second.size() : 0));
      if (used) Append(file, next->second);
      file.insert(file.end(), kLargestDigest - (used ? next->second.size() : 0), 0);
      if (used) ++next;
    }
  }
  return file;
}

Result<void> WriteQuote(const fs::path& directory, const Quote& quote) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return Fail(ErrorCode::kIo, "the directory cannot be made: " + error.message());
  }
  const auto write = [&directory](const char* name, ByteView contents) {
    constexpr bool kReplace = true;
    return WriteOutput(directory / name, contents, kReplace);
  };
  KEYWARD_TRY(write("quote.msg", quote.message));
  KEYWARD_TRY(write("quote.sig", quote.signature));
  KEYWARD_TRY(write("quote.pcrs", PcrFileOf(quote.pcrs)));
  return write("ak.pem", AsBytes(quote.signed_by.ToPem()));
}

nlohmann::ordered_json QuoteJson(const Quote& quote) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  for (const auto& [pcr, value] : quote.pcrs) values[std::to_string(pcr)] = ToHex(value);
  return {{"message", Base64(quote.message)},
          {"signature", Base64(quote.signature)},
          {"pcrs", Base64(PcrFileOf(quote.pcrs))},
          {"key", Base64(AsBytes(quote.signed_by.ToPem()))},
          {"values", values}};
}

}  // namespace keyward::keyctl
