// SPDX-License-Identifier: Apache-2.0
// By how large each register can become: most filters calculate offsets from bytes and half words, which are too small
// to matter.
#include "filter/kernel_meaning.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <linux/filter.h>

namespace wirepath {
namespace {

constexpr std::uint64_t any = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t longest_offset = std::numeric_limits<std::int32_t>::max();
constexpr std::uint32_t ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);

// What the registers are at the most, before an instruction.
struct Limits {
    bool reached = false;
    std::uint64_t a = 0, x = 0;
    std::array<std::uint64_t, BPF_MEMWORDS> memory{};

    void include(const Limits& other) {
        reached = true;
        a = std::max(a, other.a);
        x = std::max(x, other.x);
        for (std::size_t i = 0; i < memory.size(); ++i)
            memory[i] = std::max(memory[i], other.memory[i]);
    }
};

std::uint64_t largest_loaded(const Instruction& i, const Limits& before) {
    switch (BPF_MODE(i.code)) {
    case BPF_IMM:
        return i.k;
    case BPF_MEM:
        return before.memory[i.k % BPF_MEMWORDS];
    case BPF_MSH:
        return 60;
    case BPF_LEN:
        return any;
    default:
        return BPF_SIZE(i.code) == BPF_B ? 0xff : BPF_SIZE(i.code) == BPF_H ? 0xffff : any;
    }
}

std::uint64_t with_all_bits(std::uint64_t value) { return std::bit_ceil(value + 1) - 1; }

std::uint64_t largest_result(const Instruction& i, std::uint64_t a, std::uint64_t by, bool by_index) {
    switch (BPF_OP(i.code)) {
    case BPF_ADD:
        return std::min(any, a + by);
    case BPF_MUL:
        return std::min(any, a * by);
    case BPF_DIV:
        return by_index || by == 0 ? a : a / by;
    case BPF_MOD:
        return by == 0 ? a : std::min(a, by - 1);
    case BPF_AND:
        return std::min(a, by);
    case BPF_OR:
    case BPF_XOR:
        return with_all_bits(std::max(a, by));
    case BPF_RSH:
        return by_index ? a : by > 31 ? 0 : a >> by;
    case BPF_LSH:
        return by_index || by > 31 ? any : std::min(any, a << by);
    default:
        return any; // of a subtraction that goes below zero
    }
}

Limits after(const Instruction& i, Limits limits) {
    const bool by_index = BPF_SRC(i.code) == BPF_X;
    switch (BPF_CLASS(i.code)) {
    case BPF_LD:
        limits.a = BPF_MODE(i.code) == BPF_ABS && i.k >= ancillary ? any : largest_loaded(i, limits);
        break;
    case BPF_LDX:
        limits.x = largest_loaded(i, limits);
        break;
    case BPF_ST:
        limits.memory[i.k % BPF_MEMWORDS] = limits.a;
        break;
    case BPF_STX:
        limits.memory[i.k % BPF_MEMWORDS] = limits.x;
        break;
    case BPF_ALU:
        limits.a = largest_result(i, limits.a, by_index ? limits.x : i.k, by_index);
        break;
    case BPF_MISC:
        (BPF_MISCOP(i.code) == BPF_TAX ? limits.x : limits.a) = BPF_MISCOP(i.code) == BPF_TAX ? limits.a : limits.x;
        break;
    default:
        break;
    }
    return limits;
}

bool may_differ(const Instruction& i, const Limits& before) {
    const bool shifts = BPF_CLASS(i.code) == BPF_ALU && (BPF_OP(i.code) == BPF_LSH || BPF_OP(i.code) == BPF_RSH);
    const bool loads = BPF_CLASS(i.code) == BPF_LD;
    if (shifts && BPF_SRC(i.code) == BPF_X)
        return before.x > 31;
    if (loads && BPF_MODE(i.code) == BPF_IND)
        return before.x + i.k > longest_offset;
    if (loads && BPF_MODE(i.code) == BPF_ABS)
        return i.k > longest_offset && i.k < ancillary;
    return i.code == (BPF_JMP | BPF_JA) && i.k > longest_offset;
}

} // namespace

bool kernel_may_differ(std::span<const Instruction> program) {
    std::vector<Limits> before(program.size() + 1);
    before[0].reached = true;
    const auto flow = [&](const Limits& limits, std::size_t to) {
        before[std::min(to, program.size())].include(limits);
    };
    for (std::size_t at = 0; at < program.size(); ++at) {
        const Instruction& i = program[at];
        if (!before[at].reached)
            continue;
        if (may_differ(i, before[at]))
            return true;
        const Limits limits = after(i, before[at]);
        if (BPF_CLASS(i.code) == BPF_RET)
            continue;
        const bool jumps = BPF_CLASS(i.code) == BPF_JMP, always = jumps && BPF_OP(i.code) == BPF_JA;
        flow(limits, at + 1 + (always ? i.k : jumps ? i.jt : 0));
        if (jumps && !always)
            flow(limits, at + 1 + i.jf);
    }
    return false;
}

} // namespace wirepath
