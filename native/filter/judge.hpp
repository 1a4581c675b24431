// SPDX-License-Identifier: Apache-2.0
// The machines that can run a filter, side by side: one filter is to mean the same in each.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "core/packet.hpp"
#include "filter/filter.hpp"
#include "linux/fd.hpp"

namespace wirepath {

struct Verdict {
    bool matches;
    std::string_view not_given; // why the machine cannot be given this packet; empty if it was
};

enum class Hook : std::uint8_t; // filter/ebpf.hpp

class Judge {
  public:
    virtual ~Judge() = default;
    virtual Verdict judge(const Packet& packet) = 0; // throws Error
};

struct JudgeKind {
    std::string_view name;
    std::string_view what;
    // Throws Error: permission, or the machine does not take the program.
    std::unique_ptr<Judge> (*make)(const Filter& filter);
};

std::span<const JudgeKind> judge_kinds() noexcept;

std::unique_ptr<Judge> make_libpcap_judge(const Filter& filter);
std::unique_ptr<Judge> make_socket_judge(const Filter& filter);
std::unique_ptr<Judge> make_ebpf_socket_judge(const Filter& filter);
std::unique_ptr<Judge> make_xdp_judge(const Filter& filter);
std::unique_ptr<Judge> make_tc_judge(const Filter& filter);

// The filter as eBPF in the smallest program that the hook takes: at XDP one that finds a tag in the metadata before
// the packet, if there is any. Throws Error.
Fd load_filter(std::span<const Instruction> program, Hook hook);

// Of a packet that is not whole: the machine is given no length but that of the bytes.
bool asks_for_length(std::span<const Instruction> program) noexcept;
inline constexpr std::string_view cut_short = "cut short by the capture, and the filter asks for its length";
inline constexpr std::string_view tag_beside = "its VLAN tag is beside the bytes";

} // namespace wirepath
