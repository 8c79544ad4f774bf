// Result<T> and the two ways to pass an error up.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "core/error.h"

namespace keyward {

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> Fail(Error error) { return std::unexpected<Error>(std::move(error)); }
inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(Error(code, std::move(message)));
}

}  // namespace keyward

#define KEYWARD_CONCAT_INNER(a, b) a##b
#define KEYWARD_CONCAT(a, b) KEYWARD_CONCAT_INNER(a, b)

// KEYWARD_TRY(expression): returns its error from the enclosing function, if it has one.
#define KEYWARD_TRY(...)                                      \
  do {                                                        \
    if (auto keyward_try = (__VA_ARGS__); !keyward_try) {     \
      return ::keyward::Fail(std::move(keyward_try).error()); \
    }                                                         \
  } while (false)

// KEYWARD_ASSIGN(declaration, expression): declares or assigns the value, or returns the error.
#define KEYWARD_ASSIGN(declaration, ...) \
  KEYWARD_ASSIGN_INNER(KEYWARD_CONCAT(keyward_result_, __LINE__), declaration, __VA_ARGS__)
#define KEYWARD_ASSIGN_INNER(result, declaration, ...)            \
  auto result = (__VA_ARGS__);                                    \
  if (!result) return ::keyward::Fail(std::move(result).error()); \
  declaration = std::move(*result)
