// Bits of an OPEN's flags that open(2) does not document.
#pragma once

namespace foliofs::proto {

// The file is opened to be executed (the kernel's __FMODE_EXEC, with O_RDONLY): who may execute it
// need not be permitted to read it.
inline constexpr int kOpenToExecute = 0x20;

}  // namespace foliofs::proto
