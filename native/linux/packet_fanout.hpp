// SPDX-License-Identifier: Apache-2.0
// Packet fanout (packet(7), PACKET_FANOUT): the kernel spreads an interface's packets over several sockets.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "linux/packet_socket.hpp"

namespace wirepath {

// The options of an engine that can fan out.
inline constexpr std::array fanout_options{
    OptionSpec{"fanout", OptionSpec::Kind::integer, "sockets", "1",
               "sockets, each with its worker, over which the kernel spreads the packets, 256 at most"},
    OptionSpec{
        "fanout_type", OptionSpec::Kind::text, "", "hash",
        "how a packet finds its socket: by its flow, in turn, by CPU, to the next when one is full, at random, by "
        "receive queue, or by a program",
        "hash|lb|cpu|rollover|rnd|qm|cbpf|ebpf"},
    OptionSpec{"fanout_group", OptionSpec::Kind::integer, "", "0",
               "the group's number, 1 to 65535, to share it with other programs; 0: one of its own"},
    OptionSpec{"fanout_defrag", OptionSpec::Kind::boolean, "", "off",
               "put IPv4 fragments together first, so that they stay with their flow"},
    OptionSpec{"fanout_rollover", OptionSpec::Kind::boolean, "", "off",
               "a socket that is full passes its packets to the next one"},
    OptionSpec{"fanout_program", OptionSpec::Kind::text, "", "",
               "for cbpf: a program as tcpdump -ddd prints it, commas for newlines; for ebpf: the path of a pinned "
               "socket filter. It sees the packet from its network header on, and its value chooses the socket"},
};

// An engine's own options, and then these.
template <std::size_t N>
constexpr auto with_fanout_options(const std::array<OptionSpec, N>& own) {
    std::array<OptionSpec, N + fanout_options.size()> all{};
    std::copy(own.begin(), own.end(), all.begin());
    std::copy(fanout_options.begin(), fanout_options.end(), all.begin() + N);
    return all;
}

class Fanout {
  public:
    explicit Fanout(const Options& given); // throws Error
    std::uint16_t members() const noexcept { return members_; }
    bool on() const noexcept { return members_ > 1 || shared_; }
    std::string description() const;

    // Of a socket that is bound. The first one makes the group. Throws Error.
    void join(PacketSocket& socket);

  private:
    void load_classic(PacketSocket& socket) const;
    void load_extended(PacketSocket& socket) const;

    std::uint16_t members_;
    bool shared_; // the user named the group
    std::string type_name_, program_;
    std::uint16_t type_, flags_ = 0;
    std::mutex mutex_;
    std::optional<std::uint16_t> group_; // none yet
};

// A source a member, and one row for the interface that they share. Throws Error.
template <typename S>
std::vector<std::unique_ptr<Source>> open_fanout(const OpenRequest& request, const Options& given) {
    const auto fanout = std::make_shared<Fanout>(given);
    std::vector<std::unique_ptr<Source>> sources;
    std::uint16_t row = 0;
    for (std::uint16_t member = 0; member < fanout->members(); ++member) {
        auto source = std::make_unique<S>(request, given, fanout, member);
        if (member == 0)
            row = request.interfaces->add(source->interface());
        source->set_row(row);
        sources.push_back(std::move(source));
    }
    return sources;
}

} // namespace wirepath
