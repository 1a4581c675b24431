// SPDX-License-Identifier: Apache-2.0
// An AF_PACKET socket (packet(7)): what capturing with recvmmsg and with a ring have in common.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/engine.hpp"
#include "filter/filter.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/hw_timestamps.hpp"
#include "linux/netdevice.hpp"

namespace wirepath {

enum class Direction : std::uint8_t { inout, in, out };

// What `any` and link layers without a linktype of their own show in the place of a link layer's header
// (LINKTYPE_LINUX_SLL2), its numbers in network byte order.
struct CookedHeader {
    std::uint16_t protocol, reserved;
    std::uint32_t ifindex;
    std::uint16_t hardware_type;
    std::uint8_t packet_type, address_length;
    std::uint8_t address[8];
};
static_assert(sizeof(CookedHeader) == 20);
CookedHeader cooked_header(const sockaddr_ll& from) noexcept;

class PacketSocket {
  public:
    // Opened for the interface, but not bound to it: nothing is captured before start(). Throws Error.
    PacketSocket(const OpenRequest& request, const Options& options);
    ~PacketSocket() { close(); }
    PacketSocket(PacketSocket&&) = delete;

    int fd() const noexcept { return fd_.get(); }
    const NetDevice& device() const noexcept { return device_; }
    bool cooked() const noexcept { return cooked_; } // a CookedHeader belongs before what the kernel delivers
    Clock clock() const noexcept { return clock_; }
    std::uint32_t snaplen() const noexcept { return snaplen_; }

    Interface interface() const;     // its row in the InterfaceTable
    void describe(Info& info) const; // what was asked and granted, and what the user should know
    template <typename T>
    void set(int option, const T& value, const char* doing) { // of SOL_PACKET; throws Error
        set_bytes(option, &value, sizeof value, doing);
    }

    Place set_filter(const std::shared_ptr<const Filter>& filter); // throws Error
    // Whether the filter now in force admitted every packet after the first `delivered`.
    bool settled(std::uint64_t delivered) const noexcept {
        return delivered >= settled_after_.load(std::memory_order_acquire);
    }

    // Binds; `joining` is called between that and the first packet that the filter lets in. Throws Error.
    void start(const std::function<void()>& joining = {});
    void close() noexcept;
    bool in_child() const noexcept { return fork_guard_.in_child(); }

    // Cumulative. `admitted`: what passed the filter and found room.
    struct Counts {
        std::uint64_t admitted = 0, dropped = 0, freezes = 0;
    };
    Counts counts() noexcept;

    // Why the kernel reports ENETDOWN.
    Error why_gone() const;
    // Takes the error that poll(2) reported; 0 if there is none.
    int take_error() noexcept;

  private:
    void set_bytes(int option, const void* value, unsigned size, const char* doing);
    void choose_direction(const std::string& direction);
    std::vector<sock_filter> program(std::span<const Instruction> filter) const;
    bool attach(std::vector<sock_filter>& program) noexcept;
    void attach_or_throw(std::vector<sock_filter>& program);
    bool attach_filter(const Filter& filter);
    void bind();
    void read_counts() noexcept;

    Fd fd_;
    ForkGuard fork_guard_;
    NetDevice device_; // of "any": only the name
    bool cooked_ = false, promisc_ = false, ignores_outgoing_ = false;
    Direction direction_ = Direction::inout;
    Clock clock_ = Clock::host;
    std::uint32_t snaplen_;
    HardwareTimestamps timestamps_;

    std::mutex mutex_; // one thread at a time reads the kernel's counters, which clears them, or changes the filter
    bool started_ = false;
    std::vector<sock_filter> attached_; // from start() on
    Counts counts_;
    std::atomic<std::uint64_t> settled_after_{0};
};

// Options of every engine that is built on it.
inline constexpr OptionSpec timestamps_option{
    "timestamps",
    OptionSpec::Kind::text,
    "",
    "host",
    "whose clock stamps the packets: the host's, or the network adapter's (synchronized with the host's or its own)",
    "host|adapter|adapter_unsynced"};
inline constexpr OptionSpec direction_option{
    "direction",   OptionSpec::Kind::text, "", "inout", "packets that come in, that this host sends, or both",
    "inout|in|out"};

Probe probe_packet_socket();

// The columns' flags, from sockaddr_ll::sll_pkttype and TP_STATUS_*.
inline std::uint16_t flags_of_packet(unsigned packet_type, std::uint32_t status) noexcept {
    constexpr std::uint32_t status_gso_tcp = 1 << 8; // TP_STATUS_GSO_TCP, Linux 6.2
    constexpr std::uint16_t of_type[8] = {flag_inbound, flag_inbound | flag_broadcast, flag_inbound | flag_multicast,
                                          flag_inbound | flag_other_host, flag_outbound};
    unsigned flags = of_type[packet_type & 7];
    flags |= (status & TP_STATUS_CSUM_VALID) != 0 ? flag_csum_valid : 0;
    flags |= (status & TP_STATUS_CSUMNOTREADY) != 0 ? flag_csum_not_ready : 0;
    flags |= (status & TP_STATUS_TS_RAW_HARDWARE) != 0 ? flag_ts_hardware : 0;
    flags |= (status & status_gso_tcp) != 0 ? flag_gso : 0;
    return static_cast<std::uint16_t>(flags);
}

} // namespace wirepath
