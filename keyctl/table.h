// Columns for people.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace keyward::keyctl {

enum class Tone : uint8_t { kPlain, kGood, kWarning, kBad, kFaint };

// "active", "ok", "revoked", ...: how a state reads at a glance.
Tone ToneOfState(const std::string& state);

// `text` in the colour of `tone`, where `color` says so.
std::string Paint(const std::string& text, Tone tone, bool color);
// `text` with control characters as '?', so that a label on a token cannot drive the terminal.
std::string Printable(const std::string& text);

struct Cell {
  Cell(std::string text_in, Tone tone_in = Tone::kPlain)  // NOLINT: rows read better without
      : text(std::move(text_in)), tone(tone_in) {}
  Cell(const char* text_in) : text(text_in), tone(Tone::kPlain) {}  // NOLINT

  std::string text;
  Tone tone;
};

class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  // As many cells as there are headings.
  void Add(std::vector<Cell> row);
  // Each column as wide as its widest cell; no trailing blanks.
  void Print(std::ostream& out, bool color) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace keyward::keyctl
