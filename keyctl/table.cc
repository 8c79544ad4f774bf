#include "keyctl/table.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace keyward::keyctl {
namespace {

constexpr size_t kGap = 2;

std::string_view Escape(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kWarning:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kFaint:
      return "\x1b[2m";
  }
  return "";
}

template <size_t N>
bool IsOneOf(const std::string& word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

Tone ToneOfState(const std::string& state) {
  static constexpr std::array<std::string_view, 5> kGoodStates = {"active", "ok", "enrolled",
                                                                  "established", "attested"};
  static constexpr std::array<std::string_view, 7> kPassing = {
      "pending", "retiring", "handshake", "not enrolled", "degraded", "waiting", "changed"};
  if (IsOneOf(state, kGoodStates)) return Tone::kGood;
  if (IsOneOf(state, kPassing)) return Tone::kWarning;
  if (state == "closed" || state == "no-tpm") return Tone::kFaint;
  return Tone::kBad;
}

std::string Paint(const std::string& text, Tone tone, bool color) {
  if (!color || tone == Tone::kPlain) return text;
  return std::string(Escape(tone)).append(text).append("\x1b[0m");
}

std::string Printable(const std::string& text) {
  std::string clean = text;
  std::ranges::replace_if(
      clean, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return clean;
}

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}

void Table::Add(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = Printable(cell.text);
  rows_.push_back(std::move(row));
}

void Table::Print(std::ostream& out, bool color) const {
  std::vector<size_t> widths(headings_.size());
  std::ranges::transform(headings_, widths.begin(), &std::string::size);
  for (const std::vector<Cell>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].text.size());
  }
  const auto print = [&](const std::vector<Cell>& row) {
    std::string blanks;  // held back until something follows them
    for (size_t i = 0; i < row.size(); ++i) {
      if (!row[i].text.empty()) {
        out << blanks << Paint(row[i].text, row[i].tone, color);
        blanks.clear();
      }
      blanks.append(widths[i] - row[i].text.size() + kGap, ' ');
    }
    out << '\n';
  };
  std::vector<Cell> heading;
  heading.reserve(headings_.size());
  for (const std::string& text : headings_) heading.emplace_back(text, Tone::kFaint);
  print(heading);
  for (const std::vector<Cell>& row : rows_) print(row);
}

}  // namespace keyward::keyctl
