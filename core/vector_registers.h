// What is left behind in registers.
#pragma once

namespace keyward {

// Clears the vector registers of the calling thread. What memcpy and the ciphers moved stays in
// them until other code needs them, and a core dump or debugger shows it: with AVX-512, glibc's
// memcpy uses registers that hardly anything else does. A thread that handles secrets calls this
// before it waits. On other machines than x86-64 and AArch64 it does nothing.
void ClearVectorRegisters();

}  // namespace keyward
