// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engines/af_xdp/device.hpp"
#include "engines/af_xdp/ring.hpp"
#include "engines/af_xdp/settings.hpp"
#include "engines/af_xdp/umem.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"

namespace wirepath::af_xdp {

Fd make_socket(); // an AF_XDP socket; throws Error

// The socket of one queue, with its umem registered and its rings mapped. Bound, it receives nothing before the
// program's map knows it.
class Socket {
  public:
    // Throws Error.
    Socket(const Device& device, std::uint32_t queue, bool native, Umem& umem, const Settings& settings);

    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { close(); }

    int fd() const noexcept { return fd_.get(); }
    ReceiveRing& received() noexcept { return received_; }
    FillRing& fill() noexcept { return fill_; }
    // Frames that the kernel was given and that have not come back with a packet.
    std::uint32_t outstanding() const noexcept { return fill_.pushed() - received_.next(); }
    bool zero_copy() const noexcept { return zero_copy_; }
    bool fragments() const noexcept { return fragments_; }
    bool busy_polls() const noexcept { return busy_polls_; }
    std::uint64_t busy_poll_granted(int option) const noexcept;

    // Has the driver look at its rings, and busy poll where that is on.
    void wake() noexcept;
    bool statistics(xdp_statistics& into) const noexcept;
    // Leaves the queue: a mapped ring keeps a closed socket alive.
    void close() noexcept;

  private:
    void register_umem(Umem& umem, const Settings& settings);
    void map_rings(const Settings& settings);
    void set_busy_polling(const Settings& settings);
    void bind(const Device& device, std::uint32_t queue, bool native, const Settings& settings);
    int try_bind(const Device& device, std::uint32_t queue, std::uint16_t flags) noexcept;

    ForkGuard fork_guard_;
    Fd fd_;
    ReceiveRing received_;
    FillRing fill_;
    bool zero_copy_ = false, fragments_ = false, busy_polls_ = false;
};

} // namespace wirepath::af_xdp
