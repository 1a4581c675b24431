// SPDX-License-Identifier: Apache-2.0
// pcap-filter(7) text, compiled once, the same verdict wherever it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/batch.hpp"
#include "core/packet.hpp"

namespace wirepath {

// One classic BPF instruction: the layout of struct sock_filter and of libpcap's struct bpf_insn.
struct Instruction {
    std::uint16_t code;
    std::uint8_t jt, jf;
    std::uint32_t k;
};

class Filter {
  public:
    // For packets of a live interface, whose VLAN tag and direction are metadata: as libpcap compiles for a live
    // handle. Linktype 0: libpcap's choice for the interface.
    static std::shared_ptr<const Filter> compile_live(std::string_view text, const std::string& interface,
                                                      std::uint32_t snaplen, std::uint32_t linktype = 0);
    // For packets that are all in their bytes (files).
    static std::shared_ptr<const Filter> compile(std::string_view text, std::uint32_t linktype, std::uint32_t snaplen);
    // Both throw Error: bad_filter with the place in the text, unsupported where libpcap is missing.

    const std::string& text() const noexcept { return text_; }
    std::uint32_t linktype() const noexcept { return linktype_; }
    std::span<const Instruction> program() const noexcept { return program_; }

    bool matches(const Packet& packet) const noexcept;

  private:
    Filter(std::string text, std::uint32_t linktype, std::vector<Instruction> program)
        : text_(std::move(text)), linktype_(linktype), program_(std::move(program)) {}
    std::string text_;
    std::uint32_t linktype_;
    std::vector<Instruction> program_;
};

} // namespace wirepath
