#include "core/revocation_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/encoding.h"
#include "core/name_rules.h"
#include "core/timestamp.h"

namespace keyward {
namespace {

constexpr std::string_view kFamily = "Keyward revocations v";
constexpr std::string_view kFirstLine = "Keyward revocations v1";

std::unexpected<Error> Malformed(size_t line) {
  return Fail(ErrorCode::kMalformed,
              fmt::format("line {} of the revocation list is not as it has to be", line));
}

// Takes what comes before `end` off the front of `rest`, and `end` with it.
std::optional<std::string_view> TakeUntil(std::string_view& rest, char end) {
  const size_t size = rest.find(end);
  if (size == std::string_view::npos) return std::nullopt;
  const std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size + 1);
  return taken;
}

// The words of a line that has exactly N.
template <size_t N>
std::optional<std::array<std::string_view, N>> Words(std::string_view line) {
  std::array<std::string_view, N> words;
  for (size_t i = 0; i + 1 < N; ++i) {
    const std::optional<std::string_view> word = TakeUntil(line, ' ');
    if (!word) return std::nullopt;
    words.at(i) = *word;
  }
  if (line.contains(' ')) return std::nullopt;
  words.back() = line;
  return words;
}

template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  return number;
}

std::string LineOf(const Revocation& revocation) {
  const bool of_peer = revocation.version == 0;
  return fmt::format("{} {} {} {} {}\n", of_peer ? "peer" : "key", ToHex(revocation.fingerprint),
                     revocation.name, of_peer ? "-" : std::to_string(revocation.version),
                     FormatTimestamp(revocation.at));
}

std::optional<Revocation> ParseRevocation(std::string_view line) {
  const auto words = Words<5>(line);
  if (!words) return std::nullopt;
  const auto& [kind, fingerprint, name, version, at] = *words;
  const Result<Bytes> digest = FromHex(fingerprint);
  const std::optional<WallTime> time = ParseTimestamp(at);
  const uint32_t number = version == "-" ? 0 : ParseNumber<uint32_t>(version).value_or(0);
  Revocation revocation{.fingerprint = {}, .name = std::string(name), .version = number, .at = {}};
  if (!digest || digest->size() != revocation.fingerprint.size() || !time || !IsName(name)) {
    return std::nullopt;
  }
  std::ranges::copy(*digest, revocation.fingerprint.begin());
  revocation.at = *time;
  // One spelling for each: hex may be of either case, and a kind goes with its version.
  if (LineOf(revocation) != fmt::format("{}\n", line)) return std::nullopt;
  return revocation;
}

Result<void> ReadHeading(std::string_view line, RevocationList& list) {
  constexpr size_t kLine = 2;
  const auto words = Words<4>(line);
  if (!words || words->at(0) != "issued" || words->at(2) != "epoch") return Malformed(kLine);
  const std::optional<WallTime> issued = ParseTimestamp(words->at(1));
  const std::optional<uint64_t> epoch = ParseNumber<uint64_t>(words->at(3));
  if (!issued || !epoch) return Malformed(kLine);
  list.issued = *issued;
  list.epoch = *epoch;
  return {};
}

Result<RevocationList> Parse(std::string_view composed) {
  RevocationList list;
  size_t number = 0;
  while (const auto line = TakeUntil(composed, '\n')) {
    ++number;
    if (number == 1 && *line != kFirstLine) return Malformed(number);
    if (number == 2) KEYWARD_TRY(ReadHeading(*line, list));
    if (number <= 2) continue;
    std::optional<Revocation> revocation = ParseRevocation(*line);
    if (!revocation) return Malformed(number);
    list.revocations.push_back(*std::move(revocation));
  }
  if (number < 2) return Malformed(number + 1);
  return list;
}

// Errors: kMalformed, kAuthenticationFailed.
Result<void> CheckSignature(std::string_view composed, std::string_view line,
                            const PublicKey& signer) {
  const auto words = Words<3>(line);
  const Result<Bytes> signature = FromHex(words ? words->at(2) : "");
  if (!words || words->at(0) != "signature" || !signature) {
    return Fail(ErrorCode::kMalformed, "the revocation list does not end with its signature");
  }
  if (words->at(1) != ToHex(signer.Fingerprint())) {
    return Fail(ErrorCode::kAuthenticationFailed,
                "the revocation list is signed by another key than the one given");
  }
  if (signer.Verify(AsBytes(composed), *signature)) return {};
  return Fail(ErrorCode::kAuthenticationFailed,
              "the signature of the revocation list does not hold: it was changed on its way");
}

}  // namespace

std::string Compose(const RevocationList& list) {
  std::string text =
      fmt::format("{}\nissued {} epoch {}\n", kFirstLine, FormatTimestamp(list.issued), list.epoch);
  for (const Revocation& revocation : list.revocations) text += LineOf(revocation);
  return text;
}

std::string WithSignature(std::string composed, ByteView signature, const PublicKey& signer) {
  return std::move(composed) +
         fmt::format("signature {} {}\n", ToHex(signer.Fingerprint()), ToHex(signature));
}

Result<RevocationList> ReadRevocationList(std::string_view text, const PublicKey& signer) {
  if (text.size() > kMaxRevocationList) {
    return Fail(ErrorCode::kTooLarge, "the revocation list is over 4 MiB");
  }
  if (text.starts_with(kFamily) && !text.starts_with(fmt::format("{}\n", kFirstLine))) {
    return Fail(ErrorCode::kNotSupported,
                "the revocation list is of a later version: read it with that Keyward");
  }
  if (!text.ends_with('\n')) {
    return Fail(ErrorCode::kMalformed, "the revocation list is cut off, or is none");
  }
  const std::string_view lines = text.substr(0, text.size() - 1);
  const size_t last = lines.rfind('\n') + 1;  // 0 when there is one line alone
  const std::string_view composed = text.substr(0, last);
  KEYWARD_TRY(CheckSignature(composed, lines.substr(last), signer));
  return Parse(composed);
}

}  // namespace keyward
