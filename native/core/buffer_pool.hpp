// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/lease.hpp"

namespace wirepath {

// Equal buffers of our own for payload that has to be copied or read: what libpcap or a socket hands over, a ring that
// must be freed, a file. The one used last is handed out first, while it is still in the cache.
class BufferPool {
  public:
    struct Buffer {
        std::byte* data = nullptr;
        std::size_t size = 0;
        Lease lease;
    };

    // Throws Error. The memory is only reserved: the kernel gives a page when it is first written.
    BufferPool(std::uint32_t buffers, std::size_t buffer_bytes);

    // False when views hold every buffer. Receiving thread only.
    bool take(Buffer& into) noexcept;
    std::size_t buffer_bytes() const noexcept { return buffer_bytes_; }

  private:
    std::size_t buffer_bytes_;
    LeasePool::Ref pool_;
    std::vector<std::uint32_t> free_;
};

} // namespace wirepath
