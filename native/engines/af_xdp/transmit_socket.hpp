// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engines/af_xdp/ring.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/mapping.hpp"
#include "linux/netdevice.hpp"

namespace wirepath::af_xdp {

struct TransmitSettings {
    std::uint32_t queue, frames, frame_size, ring_size;
    bool may_copy, may_not_copy; // the modes that are tried
};

// An AF_XDP socket that only sends, from a umem of its own. It needs no XDP program.
class TransmitSocket {
  public:
    TransmitSocket(const NetDevice& device, const TransmitSettings& settings); // throws Error
    TransmitSocket(const TransmitSocket&) = delete;
    TransmitSocket& operator=(const TransmitSocket&) = delete;
    ~TransmitSocket();

    int fd() const noexcept { return fd_.get(); }
    bool in_child() const noexcept { return fork_guard_.in_child(); }
    bool zero_copy() const noexcept { return zero_copy_; }
    bool fragments() const noexcept { return fragments_; }
    std::byte* at(std::uint64_t address) noexcept { return static_cast<std::byte*>(umem_.data()) + address; }
    TransmitRing& transmitted() noexcept { return transmitted_; }
    CompletionRing& completed() noexcept { return completed_; }

    int wake() noexcept;                    // has the kernel look at the ring; 0 or errno
    std::uint64_t invalid() const noexcept; // descriptors that the kernel refused

  private:
    void register_umem(const TransmitSettings& settings);
    void map_rings(const TransmitSettings& settings);
    void bind(const NetDevice& device, const TransmitSettings& settings);
    int try_bind(const NetDevice& device, std::uint32_t queue, std::uint16_t flags) noexcept;

    ForkGuard fork_guard_;
    Mapping umem_;
    Fd fd_;
    TransmitRing transmitted_;
    CompletionRing completed_;
    FillRing fill_; // the kernel wants one, and never gets a frame from it
    bool zero_copy_ = false, fragments_ = false;
};

} // namespace wirepath::af_xdp
