// "did you mean ...?"
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace keyward::policy {

// "; did you mean 'keys'?" with the candidate nearest to `word`, if it is at most two edits away
// (one for words of up to four letters; an edit inserts, deletes, replaces or swaps); otherwise
// nothing.
std::string Suggest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace keyward::policy
