// OPEN flags that open(2) does not document.
#pragma once

namespace foliofs::proto {

// The file is opened for execution (the kernel's __FMODE_EXEC, with O_RDONLY): a caller that may
// execute it need not have permission to read it.
inline constexpr int kOpenToExecute = 0x20;

}  // namespace foliofs::proto
