#include "policy/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace keyward::policy {
namespace {

constexpr size_t kQuotedInError = 3;
constexpr size_t kMaxQuote = 64;

}  // namespace

std::string Diagnostic::ToString() const { return fmt::format("line {}: {}", place.line, message); }

void Diagnostics::Add(Place place, std::string message) {
  if (list_.size() < kMaxDiagnostics) list_.push_back({place, std::move(message)});
}

std::vector<Diagnostic> Diagnostics::TakeSorted() && {
  std::ranges::sort(list_, {}, [](const Diagnostic& diagnostic) {
    return std::tie(diagnostic.place.line, diagnostic.place.column, diagnostic.message);
  });
  return std::move(list_);
}

Error AsError(const std::vector<Diagnostic>& diagnostics) {
  const size_t quoted = std::min(diagnostics.size(), kQuotedInError);
  std::string message = "security.yaml: ";
  for (size_t i = 0; i < quoted; ++i) {
    if (i > 0) message += "; ";
    message += diagnostics[i].ToString();
  }
  if (diagnostics.size() > quoted) {
    message +=
        fmt::format("; and {} more: `keyctl policy check` shows all", diagnostics.size() - quoted);
  }
  return {ErrorCode::kConfiguration, std::move(message)};
}

std::string Quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text.substr(0, kMaxQuote)) quoted += c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > kMaxQuote) quoted += "...";
  return quoted + "'";
}

}  // namespace keyward::policy
