// SPDX-License-Identifier: Apache-2.0
// An AF_PACKET socket that only sends (packet(7)): what sending with sendmmsg and with a ring have in common.
#pragma once

#include <optional>
#include <string>

#include "core/sender.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/netdevice.hpp"

namespace wirepath {

// Bytes of kernel memory that a packet socket's frames on their way take (SIOCOUTQ); nullopt: cannot know.
std::optional<unsigned> bytes_under_way(int socket) noexcept;

class TransmitSocket {
  public:
    // On an interface that is up and has a linktype. It receives nothing. Throws Error.
    explicit TransmitSocket(const std::string& interface);

    int fd() const noexcept { return fd_.get(); }
    const NetDevice& device() const noexcept { return device_; }
    bool in_child() const noexcept { return fork_guard_.in_child(); }

    void bind();                                        // last, when the ring is there; throws Error
    void set(int option, int value, const char* doing); // of SOL_PACKET; throws Error
    // 0: as the kernel has it. What was granted goes into the info. Throws Error.
    void set_buffer_size(std::int64_t asked, SenderInfo& info);
    void describe(SenderInfo& info) const;

    // Why the kernel refuses with ENETDOWN or ENXIO.
    Error why_gone() const;
    static bool means_gone(int error) noexcept;

  private:
    NetDevice device_;
    Fd fd_;
    ForkGuard fork_guard_;
};

} // namespace wirepath
