// SPDX-License-Identifier: Apache-2.0
#include "core/buffer_pool.hpp"

namespace wirepath {

BufferPool::BufferPool(std::uint32_t buffers, std::size_t buffer_bytes)
    : buffer_bytes_(buffer_bytes), pool_(LeasePool::create(buffers, Mapping::sparse(buffers * buffer_bytes))) {
    free_.reserve(buffers);
    for (std::uint32_t i = buffers; i-- > 0;)
        free_.push_back(i);
}

bool BufferPool::take(Buffer& into) noexcept {
    pool_->collect([this](std::uint32_t index) { free_.push_back(index); });
    if (free_.empty())
        return false;
    const std::uint32_t index = free_.back();
    free_.pop_back();
    into.data = static_cast<std::byte*>(pool_->memory().data()) + index * buffer_bytes_;
    into.size = buffer_bytes_;
    into.lease = pool_->take(index);
    return true;
}

} // namespace wirepath
