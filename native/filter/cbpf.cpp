// SPDX-License-Identifier: Apache-2.0
// The classic BPF machine (Linux: Documentation/networking/filter.rst), with the ancillary loads that libpcap emits for
// live captures answered from a packet's metadata, as the kernel answers them from an skb.
#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <optional>

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
    // A load and the jump_equal_k behind it, which most instructions of a filter are, in one step.
    equal_word,
    equal_half,
    equal_byte,
    equal_half_x,
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

// Nothing: there is no such metadata, which rejects the packet.
std::optional<std::uint32_t> ancillary_of(const Packet& p, std::uint32_t which) {
    switch (which) {
    case SKF_AD_VLAN_TAG:
        return p.vlan_tci;
    case SKF_AD_VLAN_TAG_PRESENT:
        return p.vlan_tpid != 0;
    case SKF_AD_VLAN_TPID:
        return p.vlan_tpid;
    case SKF_AD_PKTTYPE:
        return packet_type(p);
    case SKF_AD_QUEUE:
        return p.queue;
    default:
        return std::nullopt;
    }
}

template <typename Size>
bool holds(std::span<const std::byte> data, std::uint64_t at) noexcept {
    return at + sizeof(Size) <= data.size();
}

template <typename Size>
std::uint32_t number_at(std::span<const std::byte> data, std::uint64_t at) noexcept {
    Size value;
    std::memcpy(&value, data.data() + at, sizeof value);
    if constexpr (sizeof(Size) == 1)
        return value;
    else if constexpr (sizeof(Size) == 2)
        return ntohs(value);
    else
        return ntohl(value);
}

// Nothing: the packet is rejected.
std::optional<std::uint32_t> calculate(std::uint8_t operation, std::uint32_t a, std::uint32_t b) {
    switch (operation) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b != 0 ? std::optional(a / b) : std::nullopt;
    case BPF_MOD:
        return b != 0 ? std::optional(a % b) : std::nullopt;
    case BPF_AND:
        return a & b;
    case BPF_OR:
        return a | b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return b < 32 ? a << b : 0;
    case BPF_RSH:
        return b < 32 ? a >> b : 0;
    case BPF_NEG:
        return 0 - a;
    default:
        return std::nullopt;
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
    steps_.push_back({Op::return_k, 0, 0, 0, 0, 0}); // where a program ends without saying so
    for (std::size_t at = 0; at + 1 < steps_.size(); ++at)
        fuse(steps_[at], steps_[at + 1]);
}

// The second stays, for those who jump to it.
void Machine::fuse(Step& first, const Step& second) {
    if (second.op != Op::jump_equal_k)
        return;
    switch (first.op) {
    case Op::load_word:
        first.op = Op::equal_word;
        break;
    case Op::load_half:
        first.op = Op::equal_half;
        break;
    case Op::load_byte:
        first.op = Op::equal_byte;
        break;
    case Op::load_half_x:
        first.op = Op::equal_half_x;
        break;
    default:
        return;
    }
    first.value = second.k;
    first.if_true = second.if_true;
    first.if_false = second.if_false;
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
    // One that leaves the program ends it. Backward only libpcap's protochain goes, an unconditional jump's k being
    // signed: its loop is over where the packet is.
    const auto to = [&](std::int64_t distance) {
        const std::int64_t target = static_cast<std::int64_t>(at) + 1 + distance, end = std::ssize(program);
        return static_cast<std::uint32_t>(target < 0 ? end : std::min(target, end));
    };
    Step step{Op::return_k, static_cast<std::uint8_t>(BPF_OP(code)), from.k, to(from.jt), to(from.jf), 0};
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
            step.if_true = to(static_cast<std::int32_t>(from.k));
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
    for (const Step* step = steps;;) {
        const Step& now = *step++;
        const auto go = [&](bool condition) { step = steps + (condition ? now.if_true : now.if_false); };
        switch (now.op) {
        case Op::load_word:
            if (!holds<std::uint32_t>(data, now.k))
                return 0;
            a = number_at<std::uint32_t>(data, now.k);
            break;
        case Op::load_half:
            if (!holds<std::uint16_t>(data, now.k))
                return 0;
            a = number_at<std::uint16_t>(data, now.k);
            break;
        case Op::load_byte:
            if (!holds<std::uint8_t>(data, now.k))
                return 0;
            a = number_at<std::uint8_t>(data, now.k);
            break;
        case Op::load_ancillary:
            if (const auto value = ancillary_of(metadata.packet(), now.k - ancillary))
                a = *value;
            else
                return 0;
            break;
        case Op::load_word_x:
            if (!holds<std::uint32_t>(data, std::uint64_t{x} + now.k))
                return 0;
            a = number_at<std::uint32_t>(data, std::uint64_t{x} + now.k);
            break;
        case Op::load_half_x:
            if (!holds<std::uint16_t>(data, std::uint64_t{x} + now.k))
                return 0;
            a = number_at<std::uint16_t>(data, std::uint64_t{x} + now.k);
            break;
        case Op::load_byte_x:
            if (!holds<std::uint8_t>(data, std::uint64_t{x} + now.k))
                return 0;
            a = number_at<std::uint8_t>(data, std::uint64_t{x} + now.k);
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
            if (!holds<std::uint8_t>(data, now.k))
                return 0;
            x = (number_at<std::uint8_t>(data, now.k) & 0xf) << 2;
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
        case Op::calculate_x:
            if (const auto value = calculate(now.operation, a, now.op == Op::calculate_x ? x : now.k))
                a = *value;
            else
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
        case Op::equal_word:
            if (!holds<std::uint32_t>(data, now.k))
                return 0;
            a = number_at<std::uint32_t>(data, now.k);
            go(a == now.value);
            break;
        case Op::equal_half:
            if (!holds<std::uint16_t>(data, now.k))
                return 0;
            a = number_at<std::uint16_t>(data, now.k);
            go(a == now.value);
            break;
        case Op::equal_byte:
            if (!holds<std::uint8_t>(data, now.k))
                return 0;
            a = number_at<std::uint8_t>(data, now.k);
            go(a == now.value);
            break;
        case Op::equal_half_x:
            if (!holds<std::uint16_t>(data, std::uint64_t{x} + now.k))
                return 0;
            a = number_at<std::uint16_t>(data, std::uint64_t{x} + now.k);
            go(a == now.value);
            break;
        default:
            __builtin_unreachable(); // decode() makes no other
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
