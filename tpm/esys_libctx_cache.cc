// Gives tpm2-tss one OSSL_LIB_CTX to keep.
//
// ESAPI makes an OpenSSL library context for every hash and HMAC and throws it away after, which
// costs 2 ms and is 98 % of the time of a command in a session. An executable that links
// keyward_esys_cache defines OSSL_LIB_CTX_new and OSSL_LIB_CTX_free itself, exported, so that the
// dynamic linker binds tpm2-tss to these: calls out of libtss2-esys get one shared context, which
// OpenSSL allows from any number of threads; everybody else is passed on to OpenSSL. Why not
// Esys_SetCryptoCallbacks: it would replace the cryptography instead of its setup, and tpm2-tss 3.2
// has it not.
#include <dlfcn.h>
#include <link.h>
#include <openssl/crypto.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

struct AddressRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

int FindEsys(dl_phdr_info* info, size_t /*size*/, void* out) {
  const char* slash = std::strrchr(info->dlpi_name, '/');
  const char* name = slash == nullptr ? info->dlpi_name : slash + 1;
  if (std::strncmp(name, "libtss2-esys.so", std::strlen("libtss2-esys.so")) != 0) return 0;
  for (size_t i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    *static_cast<AddressRange*>(out) = {begin, begin + segment.p_memsz};
  }
  return 1;
}

bool IsEsys(const void* caller) {
  static const AddressRange esys = [] {
    AddressRange range;
    dl_iterate_phdr(FindEsys, &range);
    return range;
  }();
  const auto address = reinterpret_cast<uintptr_t>(caller);
  return address >= esys.begin && address < esys.end;
}

// OpenSSL's own function behind ours. Without it nothing of OpenSSL can work.
template <class Function>
Function* Next(const char* name) {
  void* symbol = dlsym(RTLD_NEXT, name);
  if (symbol == nullptr) std::abort();
  return reinterpret_cast<Function*>(symbol);
}

OSSL_LIB_CTX* NewContext() {
  static auto* const next = Next<OSSL_LIB_CTX*()>("OSSL_LIB_CTX_new");
  return next();
}

std::atomic<OSSL_LIB_CTX*> shared_context = nullptr;

OSSL_LIB_CTX* SharedContext() {
  static OSSL_LIB_CTX* const context = [] {
    OSSL_LIB_CTX* made = NewContext();
    shared_context = made;
    return made;
  }();
  return context;
}

}  // namespace

extern "C" {

OSSL_LIB_CTX* OSSL_LIB_CTX_new() {
  return IsEsys(__builtin_return_address(0)) ? SharedContext() : NewContext();
}

void OSSL_LIB_CTX_free(OSSL_LIB_CTX* context) {
  static auto* const next = Next<void(OSSL_LIB_CTX*)>("OSSL_LIB_CTX_free");
  if (context != nullptr && context == shared_context) return;  // kept until the process ends
  next(context);
}

}  // extern "C"
