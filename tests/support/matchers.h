// GoogleMock matchers for Result<T>.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/result.h"

namespace keyward {

// So that a failed assertion shows the error with its cause.
inline void PrintTo(const Error& error, std::ostream* out) {
  *out << error.ToString() << " [" << error.cause() << "]";
}

namespace testing_support {

MATCHER(IsOk, "is a success") {
  if (arg.has_value()) return true;
  *result_listener << arg.error().ToString() << " [" << arg.error().cause() << "]";
  return false;
}

MATCHER_P(FailsWith, code, "fails with " + std::string(Name(code))) {
  if (arg.has_value()) {
    *result_listener << "a success";
    return false;
  }
  *result_listener << arg.error().ToString() << " [" << arg.error().cause() << "]";
  return arg.error().code() == code;
}

MATCHER_P(IsOkAndHolds, value, "is a success that holds the value") {
  if (!arg.has_value()) {
    *result_listener << arg.error().ToString() << " [" << arg.error().cause() << "]";
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace testing_support
}  // namespace keyward

// ASSERT_OK(result) and ASSERT_OK_AND_ASSIGN(declaration, expression)
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::keyward::testing_support::IsOk())
#define EXPECT_OK(expression) EXPECT_THAT(expression, ::keyward::testing_support::IsOk())
#define ASSERT_OK_AND_ASSIGN(declaration, ...) \
  ASSERT_OK_AND_ASSIGN_INNER(KEYWARD_CONCAT(assert_result_, __LINE__), declaration, __VA_ARGS__)
#define ASSERT_OK_AND_ASSIGN_INNER(result, declaration, ...) \
  auto result = (__VA_ARGS__);                               \
  ASSERT_OK(result);                                         \
  declaration = std::move(*result)
