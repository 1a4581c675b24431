// SPDX-License-Identifier: Apache-2.0
// The classic BPF machine (Linux: Documentation/networking/filter.rst), with the ancillary loads that libpcap emits for
// live captures answered from a packet's metadata, as the kernel answers them from an skb.
#include <algorithm>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "filter/filter.hpp"

namespace wirepath {

// Size and operand are part of the operation. _k: with the step's number, _x: with the index register.
enum class Machine::Op : std::uint8_t {
    load_word,
    load_half,
    load_byte,
    load_ancillary,
    load_word_x,
    load_half_x,
    load_byte_x,
    load_length,
    load_k,
    load_memory,
    index_header_length,
    index_length,
    index_k,
    index_memory,
    store,
    store_index,
    and_k,
    calculate_k,
    calculate_x,
    jump,
    jump_equal_k,
    jump_greater_k,
    jump_greater_equal_k,
    jump_set_k,
    jump_equal_x,
    jump_greater_x,
    jump_greater_equal_x,
    jump_set_x,
    index_a,
    a_index,
    return_k,
    return_a,
};

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
template <typename Size>
inline bool load(std::span<const std::byte> data, std::uint64_t at, std::uint32_t& value) {
    if (at + sizeof(Size) > data.size())
        return false;
    const auto* b = reinterpret_cast<const std::uint8_t*>(data.data()) + at;
    if constexpr (sizeof(Size) == 1)
        value = b[0];
    else if constexpr (sizeof(Size) == 2)
        value = std::uint32_t{b[0]} << 8 | b[1];
    else
        value = std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
    return true;
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

struct OfPacket {
    const Packet& it;
    std::uint32_t origlen() const noexcept { return it.origlen; }
    const Packet& packet() const noexcept { return it; }
};

struct OfRow {
    const Batch& batch;
    std::uint32_t row;
    std::uint32_t origlen() const noexcept { return batch.columns()->origlen[row]; }
    Packet packet() const noexcept { return batch[row]; }
};

} // namespace

Machine::Machine(std::span<const Instruction> program) {
    steps_.reserve(program.size() + 1);
    for (std::size_t at = 0; at < program.size(); ++at)
        steps_.push_back(decode(program, at));
    steps_.push_back({Op::return_k, 0, 0, 0, 0}); // where a program ends without saying so
}

Machine::Op Machine::decode_load(std::uint16_t code, std::uint32_t k) {
    const bool word = BPF_SIZE(code) == BPF_W, half = BPF_SIZE(code) == BPF_H;
    switch (BPF_MODE(code)) {
    case BPF_ABS:
        return k >= ancillary ? Op::load_ancillary : word ? Op::load_word : half ? Op::load_half : Op::load_byte;
    case BPF_IND:
        return word ? Op::load_word_x : half ? Op::load_half_x : Op::load_byte_x;
    case BPF_LEN:
        return Op::load_length;
    case BPF_MEM:
        return Op::load_memory;
    default:
        return Op::load_k;
    }
}

Machine::Op Machine::decode_index_load(std::uint16_t code) {
    switch (BPF_MODE(code)) {
    case BPF_MSH:
        return Op::index_header_length;
    case BPF_LEN:
        return Op::index_length;
    case BPF_MEM:
        return Op::index_memory;
    default:
        return Op::index_k;
    }
}

Machine::Op Machine::decode_jump(std::uint16_t code) {
    const bool x = BPF_SRC(code) == BPF_X;
    switch (BPF_OP(code)) {
    case BPF_JA:
        return Op::jump;
    case BPF_JEQ:
        return x ? Op::jump_equal_x : Op::jump_equal_k;
    case BPF_JGT:
        return x ? Op::jump_greater_x : Op::jump_greater_k;
    case BPF_JGE:
        return x ? Op::jump_greater_equal_x : Op::jump_greater_equal_k;
    default:
        return x ? Op::jump_set_x : Op::jump_set_k;
    }
}

Machine::Step Machine::decode(std::span<const Instruction> program, std::size_t at) {
    const Instruction& from = program[at];
    const std::uint16_t code = from.code;
    const auto to = [&](std::uint64_t distance) { // jumps only go forward; one that leaves the program ends it
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(at + 1 + distance, program.size()));
    };
    Step step{Op::return_k, static_cast<std::uint8_t>(BPF_OP(code)), from.k, to(from.jt), to(from.jf)};
    switch (BPF_CLASS(code)) {
    case BPF_LD:
        step.op = decode_load(code, from.k);
        break;
    case BPF_LDX:
        step.op = decode_index_load(code);
        break;
    case BPF_ST:
        step.op = Op::store;
        break;
    case BPF_STX:
        step.op = Op::store_index;
        break;
    case BPF_ALU:
        step.op = BPF_SRC(code) == BPF_X ? Op::calculate_x : BPF_OP(code) == BPF_AND ? Op::and_k : Op::calculate_k;
        break;
    case BPF_JMP:
        step.op = decode_jump(code);
        if (step.op == Op::jump)
            step.if_true = to(from.k);
        break;
    case BPF_RET:
        step.op = BPF_RVAL(code) == BPF_A ? Op::return_a : Op::return_k;
        break;
    default:
        step.op = BPF_MISCOP(code) == BPF_TAX ? Op::index_a : Op::a_index;
    }
    if (step.op == Op::load_memory || step.op == Op::index_memory || step.op == Op::store || step.op == Op::store_index)
        step.k %= BPF_MEMWORDS;
    return step;
}

template <typename Metadata>
std::uint32_t Machine::run(std::span<const std::byte> data, const Metadata& metadata) const noexcept {
    std::uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {};
    const Step* const steps = steps_.data();
    const auto beyond = [&](const Step& step) { // what lies at no packet's bytes may be metadata
        const std::uint64_t at = std::uint64_t{x} + step.k;
        return at >= ancillary && at <= UINT32_MAX &&
               load_ancillary(metadata.packet(), static_cast<std::uint32_t>(at) - ancillary, a);
    };
    for (const Step* step = steps;;) {
        const Step& now = *step++;
        const auto go = [&](bool holds) { step = steps + (holds ? now.if_true : now.if_false); };
        switch (now.op) {
        case Op::load_word:
            if (!load<std::uint32_t>(data, now.k, a))
                return 0;
            break;
        case Op::load_half:
            if (!load<std::uint16_t>(data, now.k, a))
                return 0;
            break;
        case Op::load_byte:
            if (!load<std::uint8_t>(data, now.k, a))
                return 0;
            break;
        case Op::load_ancillary:
            if (!load_ancillary(metadata.packet(), now.k - ancillary, a))
                return 0;
            break;
        case Op::load_word_x:
            if (!load<std::uint32_t>(data, std::uint64_t{x} + now.k, a) && !beyond(now))
                return 0;
            break;
        case Op::load_half_x:
            if (!load<std::uint16_t>(data, std::uint64_t{x} + now.k, a) && !beyond(now))
                return 0;
            break;
        case Op::load_byte_x:
            if (!load<std::uint8_t>(data, std::uint64_t{x} + now.k, a) && !beyond(now))
                return 0;
            break;
        case Op::load_length:
            a = metadata.origlen();
            break;
        case Op::load_k:
            a = now.k;
            break;
        case Op::load_memory:
            a = memory[now.k];
            break;
        case Op::index_header_length:
            if (!load<std::uint8_t>(data, now.k, x))
                return 0;
            x = (x & 0xf) << 2;
            break;
        case Op::index_length:
            x = metadata.origlen();
            break;
        case Op::index_k:
            x = now.k;
            break;
        case Op::index_memory:
            x = memory[now.k];
            break;
        case Op::store:
            memory[now.k] = a;
            break;
        case Op::store_index:
            memory[now.k] = x;
            break;
        case Op::and_k:
            a &= now.k;
            break;
        case Op::calculate_k:
            if (!calculate(now.operation, a, now.k))
                return 0;
            break;
        case Op::calculate_x:
            if (!calculate(now.operation, a, x))
                return 0;
            break;
        case Op::jump:
            go(true);
            break;
        case Op::jump_equal_k:
            go(a == now.k);
            break;
        case Op::jump_greater_k:
            go(a > now.k);
            break;
        case Op::jump_greater_equal_k:
            go(a >= now.k);
            break;
        case Op::jump_set_k:
            go((a & now.k) != 0);
            break;
        case Op::jump_equal_x:
            go(a == x);
            break;
        case Op::jump_greater_x:
            go(a > x);
            break;
        case Op::jump_greater_equal_x:
            go(a >= x);
            break;
        case Op::jump_set_x:
            go((a & x) != 0);
            break;
        case Op::index_a:
            x = a;
            break;
        case Op::a_index:
            a = x;
            break;
        case Op::return_k:
            return now.k;
        case Op::return_a:
            return a;
        }
    }
}

bool Filter::matches(const Packet& packet) const noexcept { return machine_.run(packet.data, OfPacket{packet}) != 0; }

std::size_t Filter::select(const Batch& batch, std::uint32_t begin, std::uint32_t end,
                           std::uint32_t* rows) const noexcept {
    std::size_t count = 0;
    for (std::uint32_t row = begin; row < end; ++row) {
        rows[count] = row; // without a branch that could be mispredicted
        count += machine_.run(batch.data(row), OfRow{batch, row}) != 0;
    }
    return count;
}

} // namespace wirepath
