// SPDX-License-Identifier: Apache-2.0
// The kernel runs a program over bytes that we give it (BPF_PROG_TEST_RUN), in the form that packets have at its hook.
#include <cerrno>
#include <cstring>
#include <linux/filter.h>

#include "bpf/filter_mark.h"
#include "core/error.hpp"
#include "filter/ebpf.hpp"
#include "filter/judge.hpp"
#include "linux/bpf_program.hpp"
#include "linux/bpf_splice.hpp"

namespace wirepath {
namespace {

constexpr std::uint32_t ethernet = 1;
constexpr std::size_t ethernet_header = 14;
// What the kernel refuses between these lengths, it does not refuse for its length. Newer ones take no packet at tc
// that ends before its IP header does.
constexpr std::size_t longest_header = 14 + 40, always_taken = 3000;

constexpr std::string_view another_linktype = "the hook has Ethernet's";
constexpr std::string_view too_short = "shorter than the kernel's test takes";
constexpr std::string_view too_long = "longer than the kernel's test takes";

constexpr bpf_insn call_filter = {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, WIREPATH_FILTER_MARK};
constexpr bpf_insn leave = {BPF_JMP | BPF_EXIT, 0, 0, 0, 0};

// The tag stands in four bytes of metadata, if there are any.
std::vector<bpf_insn> xdp_program() {
    const auto word = [](std::uint8_t to, std::uint8_t from, std::size_t offset) -> bpf_insn {
        return {BPF_LDX | BPF_MEM | BPF_W, to, from, static_cast<__s16>(offset), 0};
    };
    return {
        word(BPF_REG_3, BPF_REG_1, offsetof(xdp_md, data_meta)),
        word(BPF_REG_4, BPF_REG_1, offsetof(xdp_md, data)),
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0},
        {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_5, BPF_REG_3, 0, 0},
        {BPF_ALU64 | BPF_ADD, BPF_REG_5, 0, 0, sizeof(std::uint32_t)},
        {BPF_JMP | BPF_JGT | BPF_X, BPF_REG_5, BPF_REG_4, 1, 0},
        word(BPF_REG_2, BPF_REG_3, 0),
        call_filter,
        leave,
    };
}

BpfProgram program_around(Hook hook) {
    switch (hook) {
    case Hook::xdp:
        return {"filter", BPF_PROG_TYPE_XDP, BPF_XDP, BPF_F_XDP_HAS_FRAGS, 0, xdp_program()};
    case Hook::tc:
        return {"filter", BPF_PROG_TYPE_SCHED_CLS, 0, 0, 0, {call_filter, leave}};
    default:
        return {"filter", BPF_PROG_TYPE_SOCKET_FILTER, 0, 0, 0, {call_filter, leave}};
    }
}

class TestRunJudge : public Judge {
  public:
    TestRunJudge(const Filter& filter, Hook hook)
        : program_(load_filter(filter.program(), hook)), asks_for_length_(asks_for_length(filter.program())),
          ethernet_(filter.linktype() == ethernet) {}

  protected:
    std::string_view cannot_be_given(const Packet& packet) const {
        if (!ethernet_)
            return another_linktype;
        if (packet.data.size() < ethernet_header)
            return too_short;
        return asks_for_length_ && packet.origlen != packet.data.size() ? cut_short : std::string_view();
    }

    Verdict run(std::span<const std::byte> data, std::span<const std::byte> context) {
        std::uint32_t verdict = 0;
        const int err = test_bpf_program(program_.get(), data, context, verdict);
        if (err == EINVAL && data.size() < longest_header)
            return {false, too_short};
        if ((err == EINVAL && data.size() > always_taken) || err == E2BIG || err == ENOMEM)
            return {false, too_long};
        if (err != 0)
            throw Error::from_errno("running a filter by BPF_PROG_TEST_RUN", err);
        return {verdict != 0, {}};
    }

  private:
    Fd program_;
    bool asks_for_length_, ethernet_;
};

class TcJudge final : public TestRunJudge {
  public:
    explicit TcJudge(const Filter& filter) : TestRunJudge(filter, Hook::tc) {}

    Verdict judge(const Packet& packet) override {
        if (packet.vlan_tpid != 0)
            return {false, tag_beside};
        if (const std::string_view why = cannot_be_given(packet); !why.empty())
            return {false, why};
        return run(packet.data, {});
    }
};

class XdpJudge final : public TestRunJudge {
  public:
    explicit XdpJudge(const Filter& filter) : TestRunJudge(filter, Hook::xdp) {}

    Verdict judge(const Packet& packet) override {
        if (const std::string_view why = cannot_be_given(packet); !why.empty())
            return {false, why};
        if (packet.vlan_tpid == 0)
            return run(packet.data, {});
        const std::uint32_t tag = std::uint32_t{packet.vlan_tpid} << 16 | packet.vlan_tci;
        with_tag_.resize(sizeof tag + packet.data.size());
        std::memcpy(with_tag_.data(), &tag, sizeof tag);
        std::memcpy(with_tag_.data() + sizeof tag, packet.data.data(), packet.data.size());
        xdp_md context{};
        context.data = sizeof tag;
        context.data_end = static_cast<std::uint32_t>(with_tag_.size());
        return run(with_tag_, std::as_bytes(std::span(&context, 1)));
    }

  private:
    std::vector<std::byte> with_tag_;
};

} // namespace

Fd load_filter(std::span<const Instruction> program, Hook hook) {
    return FilterSplice(program_around(hook)).load(to_ebpf(program, hook));
}

std::unique_ptr<Judge> make_tc_judge(const Filter& filter) { return std::make_unique<TcJudge>(filter); }
std::unique_ptr<Judge> make_xdp_judge(const Filter& filter) { return std::make_unique<XdpJudge>(filter); }

} // namespace wirepath
