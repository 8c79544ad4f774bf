// PKCS#11 2.40 as p11-kit declares it. Only the sources of this room include it: its macros rename
// struct members.
#pragma once

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
