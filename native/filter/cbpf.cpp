// SPDX-License-Identifier: Apache-2.0
// The classic BPF machine (Linux: Documentation/networking/filter.rst), with the ancillary loads that libpcap emits for
// live captures answered from a packet's metadata, as the kernel answers them from an skb.
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "filter/filter.hpp"

namespace wirepath {
namespace {

constexpr std::uint32_t ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);

std::uint32_t packet_type(const Packet& p) {
    if (p.flags & flag_outbound)
        return PACKET_OUTGOING;
    if (p.flags & flag_broadcast)
        return PACKET_BROADCAST;
    if (p.flags & flag_multicast)
        return PACKET_MULTICAST;
    return p.flags & flag_other_host ? PACKET_OTHERHOST : PACKET_HOST;
}

bool load_ancillary(const Packet& p, std::uint32_t which, std::uint32_t& value) {
    switch (which) {
    case SKF_AD_VLAN_TAG:
        value = p.vlan_tci;
        return true;
    case SKF_AD_VLAN_TAG_PRESENT:
        value = p.vlan_tpid != 0;
        return true;
    case SKF_AD_VLAN_TPID:
        value = p.vlan_tpid;
        return true;
    case SKF_AD_PKTTYPE:
        value = packet_type(p);
        return true;
    case SKF_AD_QUEUE:
        value = p.queue;
        return true;
    default:
        return false;
    }
}

// False: the packet is too short, which rejects it.
bool load(const Packet& p, std::uint64_t at, std::uint32_t size, std::uint32_t& value) {
    if (at + size > p.data.size())
        return at >= ancillary && at <= UINT32_MAX &&
               load_ancillary(p, static_cast<std::uint32_t>(at) - ancillary, value);
    const auto* b = reinterpret_cast<const std::uint8_t*>(p.data.data()) + at;
    value = size == 1   ? b[0]
            : size == 2 ? std::uint32_t{b[0]} << 8 | b[1]
                        : std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
    return true;
}

constexpr std::uint32_t size_of(std::uint16_t code) {
    return BPF_SIZE(code) == BPF_B ? 1 : BPF_SIZE(code) == BPF_H ? 2 : 4;
}

bool calculate(std::uint16_t operation, std::uint32_t& a, std::uint32_t b) {
    switch (operation) {
    case BPF_ADD:
        a += b;
        return true;
    case BPF_SUB:
        a -= b;
        return true;
    case BPF_MUL:
        a *= b;
        return true;
    case BPF_DIV:
        return b != 0 && (a /= b, true);
    case BPF_MOD:
        return b != 0 && (a %= b, true);
    case BPF_AND:
        a &= b;
        return true;
    case BPF_OR:
        a |= b;
        return true;
    case BPF_XOR:
        a ^= b;
        return true;
    case BPF_LSH:
        a = b < 32 ? a << b : 0;
        return true;
    case BPF_RSH:
        a = b < 32 ? a >> b : 0;
        return true;
    case BPF_NEG:
        a = 0 - a;
        return true;
    default:
        return false;
    }
}

bool holds(std::uint16_t condition, std::uint32_t a, std::uint32_t b) {
    switch (condition) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default:
        return (a & b) != 0; // BPF_JSET
    }
}

// The program's value for the packet: 0 rejects it. Programs come from libpcap, whose jumps only go forward and stay
// inside.
std::uint32_t run(std::span<const Instruction> program, const Packet& p) {
    std::uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {};
    for (std::size_t pc = 0; pc < program.size(); ++pc) {
        const Instruction& i = program[pc];
        const auto wire = p.origlen;
        switch (i.code & 0x07) {
        case BPF_LD:
            switch (BPF_MODE(i.code)) {
            case BPF_ABS:
                if (!load(p, i.k, size_of(i.code), a))
                    return 0;
                break;
            case BPF_IND:
                if (!load(p, std::uint64_t{x} + i.k, size_of(i.code), a))
                    return 0;
                break;
            case BPF_LEN:
                a = wire;
                break;
            case BPF_IMM:
                a = i.k;
                break;
            case BPF_MEM:
                a = memory[i.k % BPF_MEMWORDS];
                break;
            default:
                return 0;
            }
            break;
        case BPF_LDX:
            switch (BPF_MODE(i.code)) {
            case BPF_MSH:
                if (!load(p, i.k, 1, x))
                    return 0;
                x = (x & 0xf) << 2;
                break;
            case BPF_LEN:
                x = wire;
                break;
            case BPF_IMM:
                x = i.k;
                break;
            case BPF_MEM:
                x = memory[i.k % BPF_MEMWORDS];
                break;
            default:
                return 0;
            }
            break;
        case BPF_ST:
            memory[i.k % BPF_MEMWORDS] = a;
            break;
        case BPF_STX:
            memory[i.k % BPF_MEMWORDS] = x;
            break;
        case BPF_ALU:
            if (!calculate(BPF_OP(i.code), a, BPF_SRC(i.code) == BPF_X ? x : i.k))
                return 0;
            break;
        case BPF_JMP:
            if (BPF_OP(i.code) == BPF_JA)
                pc += i.k;
            else
                pc += holds(BPF_OP(i.code), a, BPF_SRC(i.code) == BPF_X ? x : i.k) ? i.jt : i.jf;
            break;
        case BPF_RET:
            return BPF_RVAL(i.code) == BPF_A ? a : i.k;
        case BPF_MISC:
            if (BPF_MISCOP(i.code) == BPF_TAX)
                x = a;
            else
                a = x;
            break;
        }
    }
    return 0;
}

} // namespace

bool Filter::matches(const Packet& packet) const noexcept { return run(program_, packet) != 0; }

} // namespace wirepath
