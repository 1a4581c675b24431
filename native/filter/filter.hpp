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
    bool operator==(const Instruction&) const = default;
};

// The program as it is run: each instruction is decoded once, not for every packet.
class Machine {
  public:
    explicit Machine(std::span<const Instruction> program);

    // The program's value for a packet: 0 rejects it. Metadata gives origlen() and packet(), which is asked for what
    // only a tag or a direction in metadata can answer.
    template <typename Metadata>
    std::uint32_t run(std::span<const std::byte> data, const Metadata& metadata) const noexcept;

  private:
    enum class Op : std::uint8_t;
    struct Step {
        Op op;
        std::uint8_t operation; // of arithmetic, as classic BPF encodes it
        std::uint32_t k;
        std::uint32_t if_true, if_false; // steps to jump to
        std::uint32_t value;             // that a step which loads compares with
    };
    static Step decode(std::span<const Instruction> program, std::size_t at);
    static Op decode_load(std::uint16_t code, std::uint32_t k);
    static Op decode_index_load(std::uint16_t code);
    static Op decode_jump(std::uint16_t code);
    static void fuse(Step& first, const Step& second);
    std::vector<Step> steps_;
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
    // Which of the batch's rows from begin to end match: their numbers go to `rows`, which has room for all of them,
    // and how many they are is returned.
    std::size_t select(const Batch& batch, std::uint32_t begin, std::uint32_t end, std::uint32_t* rows) const noexcept;

  private:
    Filter(std::string text, std::uint32_t linktype, std::vector<Instruction> program)
        : text_(std::move(text)), linktype_(linktype), program_(std::move(program)), machine_(program_) {}
    std::string text_;
    std::uint32_t linktype_;
    std::vector<Instruction> program_;
    Machine machine_;
};

} // namespace wirepath
