// Ownership of OpenSSL's objects.
#pragma once

#include <memory>

namespace keyward {

template <auto Function>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Function(object);
  }
};

// OsslPtr<EVP_PKEY, EVP_PKEY_free>
template <class T, auto Function>
using OsslPtr = std::unique_ptr<T, FreeWith<Function>>;

}  // namespace keyward
