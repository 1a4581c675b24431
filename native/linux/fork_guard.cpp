// SPDX-License-Identifier: Apache-2.0
#include "linux/fork_guard.hpp"

#include <cerrno>
#include <sys/mman.h>

#include "core/error.hpp"

namespace wirepath {

ForkGuard::ForkGuard() : page_(Mapping::anonymous(1)) {
    if (::madvise(page_.data(), page_.size(), MADV_WIPEONFORK) != 0)
        throw Error::from_errno("marking a page to be wiped on fork", errno);
    *static_cast<unsigned char*>(page_.data()) = 1;
}

} // namespace wirepath
