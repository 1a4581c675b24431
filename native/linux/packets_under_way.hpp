// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace wirepath {

// Returns once every packet that was being received or sent when it was called has been through the filters: the
// kernel runs them inside RCU read sections, and this waits for those.
inline void wait_for_packets_under_way() noexcept {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
        ::usleep(100'000); // not on this kernel (nohz_full): no packet stays between hook and queue for that long
}

} // namespace wirepath
