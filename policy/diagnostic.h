// What is wrong with a configuration file, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace keyward::policy {

struct Place {
  uint32_t line = 1;    // from 1
  uint32_t column = 1;  // from 1, in characters
};

struct Diagnostic {
  Place place;
  std::string message;

  // "line 7: unknown purpose 'tls'; did you mean 'tls13-server'?"
  std::string ToString() const;
};

// Collects problems so that all are told at once. Keeps the first kMaxDiagnostics.
class Diagnostics {
 public:
  static constexpr size_t kMaxDiagnostics = 100;

  void Add(Place place, std::string message);
  bool empty() const { return list_.empty(); }
  // In order of line.
  std::vector<Diagnostic> TakeSorted() &&;

 private:
  std::vector<Diagnostic> list_;
};

// One kConfiguration that quotes the first few of `diagnostics`, of which there is at least one.
Error AsError(const std::vector<Diagnostic>& diagnostics);

// `text` in quotes for a message: at most 64 characters of it, what is not printable ASCII as '?'.
std::string Quote(std::string_view text);

}  // namespace keyward::policy
