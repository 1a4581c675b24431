// SPDX-License-Identifier: Apache-2.0
// Written so that every verifier since 6.1 can follow it:
// - A load looks at the packet directly if the bytes lie in the linear part, and asks a helper if not. It takes the
//   packet's bounds from the context anew: kept in a register, what is known of them differs from path to path, and the
//   verifier would walk each of those.
// - What classic BPF defines and eBPF does otherwise (division by zero, shifts by more than 31, offsets beyond 32 bits)
// is
//   written out.
// - An instruction that nothing leads to is not there: the verifier refuses those.
#include "filter/ebpf.hpp"

#include <array>
#include <cstddef>
#include <limits>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <string>

#include "core/error.hpp"

namespace wirepath {
namespace {

// Registers that calls leave alone.
constexpr std::uint8_t context = BPF_REG_6, a = BPF_REG_7, x = BPF_REG_8, tag = BPF_REG_9;

// The frame, from its top: the memory words, below them what a helper loads.
constexpr std::int16_t loaded_at = -4 * BPF_MEMWORDS - 8;
constexpr std::int16_t memory_at(std::uint32_t word) {
    return static_cast<std::int16_t>(-4 * static_cast<int>(word % BPF_MEMWORDS + 1));
}

constexpr std::uint32_t ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);
constexpr std::uint32_t longest_offset = 0x7fffffff; // that helpers take
constexpr std::uint32_t direct_bytes = 0xffff;       // as far as the verifier lets a packet's pointer go

constexpr int add_number = BPF_ALU64 | BPF_ADD; // BPF_K is 0

bpf_insn operation(int code, std::uint8_t to, std::uint8_t from, std::int16_t offset, std::uint32_t value) {
    return {static_cast<__u8>(code), to, from, offset, static_cast<__s32>(value)};
}

std::uint32_t bytes_of(std::uint16_t code) { return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1; }
int size_of(std::uint32_t bytes) { return bytes == 4 ? BPF_W : bytes == 2 ? BPF_H : BPF_B; }

bool is_arithmetic_by_zero(const Instruction& i) {
    return BPF_CLASS(i.code) == BPF_ALU && (BPF_OP(i.code) == BPF_DIV || BPF_OP(i.code) == BPF_MOD) &&
           BPF_SRC(i.code) == BPF_K && i.k == 0;
}

bool loads_from_nowhere(const Instruction& i) {
    const bool absolute = BPF_CLASS(i.code) == BPF_LD && BPF_MODE(i.code) == BPF_ABS &&
                          (i.k < ancillary || i.k >= ancillary + SKF_AD_MAX); // between: metadata
    const bool header_length = BPF_CLASS(i.code) == BPF_LDX && BPF_MODE(i.code) == BPF_MSH;
    const bool relative = BPF_CLASS(i.code) == BPF_LD && BPF_MODE(i.code) == BPF_IND;
    return (absolute || header_length || relative) && i.k > longest_offset;
}

// Rejects whatever the packet is: what follows it is reached from elsewhere or not at all.
bool always_rejects(const Instruction& i) { return is_arithmetic_by_zero(i) || loads_from_nowhere(i); }

class Translation {
  public:
    Translation(std::span<const Instruction> program, Hook hook)
        : program_(program), hook_(hook), reached_(program.size() + 1), begins_(program.size() + 1) {}

    Translated done();

  private:
    struct Jump {
        std::size_t from; // instruction of the result
        std::size_t to;   // instruction of the program; its end is the place that rejects
    };

    void find_reached();
    void reach(std::size_t at) { reached_[std::min(at, program_.size())] = true; }
    void reach_behind(std::size_t at);
    std::uint32_t memory_that_is_read() const;
    void begin();
    void translate(std::size_t at);
    void load(const Instruction& i);
    void load_index(const Instruction& i);
    void load_absolute(std::uint32_t offset, std::uint32_t bytes, std::uint8_t to);
    void load_relative(std::uint32_t offset, std::uint32_t bytes);
    void bounds_of_packet(std::uint8_t begin, std::uint8_t end);
    std::size_t look(std::uint32_t bytes, std::uint8_t end, std::uint8_t to);
    void ask_helper(std::uint32_t bytes, std::uint8_t to);
    void to_host_order(std::uint32_t bytes, std::uint8_t to);
    void load_length(std::uint8_t to);
    void load_metadata(std::uint32_t which);
    void load_metadata_of_xdp(std::uint32_t which);
    void load_metadata_of_skb(std::uint32_t which);
    void calculate(const Instruction& i);
    void shift_by_index(int operation);
    void branch(std::size_t at);
    void end(const Instruction& i);

    void emit(int code, std::uint8_t to, std::uint8_t from, std::int16_t offset, std::uint32_t value) {
        result_.push_back(operation(code, to, from, offset, value));
    }
    void move(std::uint8_t to, std::uint8_t from) { emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
    void set(std::uint8_t to, std::uint32_t value) { emit(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, value); }
    void from_context(std::uint8_t to, std::size_t offset) {
        emit(BPF_LDX | BPF_MEM | BPF_W, to, context, static_cast<std::int16_t>(offset), 0);
    }
    void from_memory(std::uint8_t to, std::uint32_t word) {
        emit(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_10, memory_at(word), 0);
    }
    void to_memory(std::uint32_t word, std::uint8_t from) {
        emit(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, from, memory_at(word), 0);
    }
    void call(int helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<std::uint32_t>(helper)); }
    // To a place in the program, which may not be translated yet.
    void jump(int code, std::uint8_t left, std::uint8_t right, std::uint32_t value, std::size_t to) {
        jumps_.push_back({result_.size(), std::min(to, program_.size())});
        reach(to);
        emit(code, left, right, 0, value);
    }
    // To a place that land() says later.
    std::size_t jump_ahead(int code, std::uint8_t left, std::uint32_t value) {
        emit(code, left, 0, 0, value);
        return result_.size() - 1;
    }
    void land(std::size_t jump) { set_distance(jump, result_.size()); }
    void set_distance(std::size_t jump, std::size_t to);
    std::size_t rejection() const { return program_.size(); }
    [[noreturn]] void cannot(const std::string& what) const;

    std::span<const Instruction> program_;
    Hook hook_;
    std::vector<bool> reached_;
    std::vector<std::size_t> begins_; // where an instruction's translation does
    std::vector<Jump> jumps_;
    std::vector<bpf_insn> result_;
};

void Translation::cannot(const std::string& what) const {
    const std::array<const char*, 3> hooks = {"XDP", "tc", "a socket"};
    throw Error(Code::unsupported,
                std::string("translating the filter for ") + hooks[static_cast<std::size_t>(hook_)] + ": " + what, 0,
                "It can run in the pipeline");
}

void Translation::set_distance(std::size_t jump, std::size_t to) {
    const std::size_t distance = to - jump - 1;
    if (distance > static_cast<std::size_t>(std::numeric_limits<std::int16_t>::max()))
        cannot("it is too long: a jump of " + std::to_string(distance) + " instructions");
    result_[jump].off = static_cast<std::int16_t>(distance);
}

// Where the program can go from here: only forward.
void Translation::reach_behind(std::size_t at) {
    const Instruction& i = program_[at];
    if (BPF_CLASS(i.code) == BPF_RET || always_rejects(i))
        return;
    if (BPF_CLASS(i.code) != BPF_JMP)
        return reach(at + 1);
    if (BPF_OP(i.code) == BPF_JA && i.k > std::numeric_limits<std::int32_t>::max())
        cannot("it has a loop (protochain), which the kernel's verifier would not follow to its end");
    if (BPF_OP(i.code) == BPF_JA)
        return reach(at + 1 + i.k);
    reach(at + 1 + i.jt);
    reach(at + 1 + i.jf);
}

void Translation::find_reached() {
    reach(0);
    for (std::size_t at = 0; at < program_.size(); ++at)
        if (reached_[at])
            reach_behind(at);
}

// As bits.
std::uint32_t Translation::memory_that_is_read() const {
    std::uint32_t words = 0;
    for (const Instruction& i : program_)
        if ((BPF_CLASS(i.code) == BPF_LD || BPF_CLASS(i.code) == BPF_LDX) && BPF_MODE(i.code) == BPF_MEM)
            words |= 1U << i.k % BPF_MEMWORDS;
    return words;
}

void Translation::begin() {
    move(context, BPF_REG_1);
    if (hook_ == Hook::xdp)
        move(tag, BPF_REG_2);
    set(a, 0);
    set(x, 0);
    const std::uint32_t words = memory_that_is_read();
    for (std::uint32_t word = 0; word < BPF_MEMWORDS; ++word)
        if (words >> word & 1)
            to_memory(word, a);
}

// The bytes before the one that r1 points to, if the packet's linear part reaches there. Returns the jump for when it
// does not.
std::size_t Translation::look(std::uint32_t bytes, std::uint8_t end, std::uint8_t to) {
    emit(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_1, end, 0, 0);
    emit(BPF_LDX | BPF_MEM | size_of(bytes), to, BPF_REG_1, static_cast<std::int16_t>(-static_cast<int>(bytes)), 0);
    return result_.size() - 2;
}

// Bytes at the offset that is in r2.
void Translation::ask_helper(std::uint32_t bytes, std::uint8_t to) {
    move(BPF_REG_1, context);
    move(BPF_REG_3, BPF_REG_10);
    emit(add_number, BPF_REG_3, 0, 0, static_cast<std::uint32_t>(loaded_at));
    set(BPF_REG_4, bytes);
    call(hook_ == Hook::xdp ? BPF_FUNC_xdp_load_bytes : BPF_FUNC_skb_load_bytes);
    jump(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, rejection());
    emit(BPF_LDX | BPF_MEM | size_of(bytes), to, BPF_REG_10, loaded_at, 0);
}

void Translation::to_host_order(std::uint32_t bytes, std::uint8_t to) {
    if (bytes != 1)
        emit(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, bytes * 8);
}

void Translation::bounds_of_packet(std::uint8_t begin, std::uint8_t end) {
    from_context(begin, hook_ == Hook::xdp ? offsetof(xdp_md, data) : offsetof(__sk_buff, data));
    from_context(end, hook_ == Hook::xdp ? offsetof(xdp_md, data_end) : offsetof(__sk_buff, data_end));
}

void Translation::load_absolute(std::uint32_t offset, std::uint32_t bytes, std::uint8_t to) {
    const bool direct = hook_ != Hook::socket && offset + bytes <= direct_bytes;
    if (!direct) {
        set(BPF_REG_2, offset);
        ask_helper(bytes, to);
        return to_host_order(bytes, to);
    }
    bounds_of_packet(BPF_REG_1, BPF_REG_2);
    emit(add_number, BPF_REG_1, 0, 0, offset + bytes);
    const std::size_t beyond = look(bytes, BPF_REG_2, to);
    const std::size_t seen = jump_ahead(BPF_JMP | BPF_JA, 0, 0);
    land(beyond);
    set(BPF_REG_2, offset);
    ask_helper(bytes, to);
    land(seen);
    to_host_order(bytes, to);
}

// At x + offset, which is calculated with 64 bits: a sum that does not fit into 32 is no offset of a packet.
void Translation::load_relative(std::uint32_t offset, std::uint32_t bytes) {
    emit(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_2, x, 0, 0);
    emit(add_number, BPF_REG_2, 0, 0, offset);
    jump(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, longest_offset, rejection());
    if (hook_ == Hook::socket) {
        ask_helper(bytes, a);
        return to_host_order(bytes, a);
    }
    const std::size_t far = jump_ahead(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, direct_bytes - bytes);
    bounds_of_packet(BPF_REG_1, BPF_REG_4);
    emit(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0);
    emit(add_number, BPF_REG_1, 0, 0, bytes);
    const std::size_t beyond = look(bytes, BPF_REG_4, a);
    const std::size_t seen = jump_ahead(BPF_JMP | BPF_JA, 0, 0);
    land(far);
    land(beyond);
    ask_helper(bytes, a);
    land(seen);
    to_host_order(bytes, a);
}

// Of the whole packet, whatever is in its linear part.
void Translation::load_length(std::uint8_t to) {
    if (hook_ != Hook::xdp)
        return from_context(to, offsetof(__sk_buff, len));
    move(BPF_REG_1, context);
    call(BPF_FUNC_xdp_get_buff_len);
    emit(BPF_ALU | BPF_MOV | BPF_X, to, BPF_REG_0, 0, 0);
}

void Translation::load_metadata(std::uint32_t which) {
    if (hook_ == Hook::xdp)
        load_metadata_of_xdp(which);
    else
        load_metadata_of_skb(which);
}

void Translation::load_metadata_of_xdp(std::uint32_t which) {
    switch (which) {
    case SKF_AD_VLAN_TAG:
        emit(BPF_ALU | BPF_MOV | BPF_X, a, tag, 0, 0);
        return emit(BPF_ALU | BPF_AND | BPF_K, a, 0, 0, 0xffff);
    case SKF_AD_VLAN_TPID:
    case SKF_AD_VLAN_TAG_PRESENT:
        emit(BPF_ALU | BPF_MOV | BPF_X, a, tag, 0, 0);
        emit(BPF_ALU | BPF_RSH | BPF_K, a, 0, 0, 16);
        if (which == SKF_AD_VLAN_TAG_PRESENT) {
            emit(BPF_JMP | BPF_JEQ | BPF_K, a, 0, 1, 0);
            set(a, 1);
        }
        return;
    case SKF_AD_PKTTYPE: // libpcap asks whether it goes out; XDP sees only what comes in
        return set(a, PACKET_HOST);
    case SKF_AD_IFINDEX:
        return from_context(a, offsetof(xdp_md, ingress_ifindex));
    case SKF_AD_QUEUE:
        return from_context(a, offsetof(xdp_md, rx_queue_index));
    default:
        cannot("it asks for metadata " + std::to_string(which) + ", which no packet has there");
    }
}

void Translation::load_metadata_of_skb(std::uint32_t which) {
    switch (which) {
    case SKF_AD_VLAN_TAG:
        return from_context(a, offsetof(__sk_buff, vlan_tci));
    case SKF_AD_VLAN_TAG_PRESENT:
        return from_context(a, offsetof(__sk_buff, vlan_present));
    case SKF_AD_VLAN_TPID:
        from_context(a, offsetof(__sk_buff, vlan_proto));
        return to_host_order(2, a);
    case SKF_AD_PROTOCOL:
        from_context(a, offsetof(__sk_buff, protocol));
        return to_host_order(2, a);
    case SKF_AD_PKTTYPE:
        return from_context(a, offsetof(__sk_buff, pkt_type));
    case SKF_AD_IFINDEX:
        return from_context(a, offsetof(__sk_buff, ifindex));
    case SKF_AD_QUEUE:
        return from_context(a, offsetof(__sk_buff, queue_mapping));
    default:
        cannot("it asks for metadata " + std::to_string(which) + ", which no packet has there");
    }
}

void Translation::load(const Instruction& i) {
    switch (BPF_MODE(i.code)) {
    case BPF_ABS:
        return i.k >= ancillary ? load_metadata(i.k - ancillary) : load_absolute(i.k, bytes_of(i.code), a);
    case BPF_IND:
        return load_relative(i.k, bytes_of(i.code));
    case BPF_LEN:
        return load_length(a);
    case BPF_MEM:
        return from_memory(a, i.k);
    default:
        return set(a, i.k);
    }
}

void Translation::load_index(const Instruction& i) {
    switch (BPF_MODE(i.code)) {
    case BPF_MSH: // an IPv4 header's length, of the byte that begins it
        load_absolute(i.k, 1, x);
        emit(BPF_ALU | BPF_AND | BPF_K, x, 0, 0, 0xf);
        return emit(BPF_ALU | BPF_LSH | BPF_K, x, 0, 0, 2);
    case BPF_LEN:
        return load_length(x);
    case BPF_MEM:
        return from_memory(x, i.k);
    default:
        return set(x, i.k);
    }
}

void Translation::shift_by_index(int operation) {
    const std::size_t too_far = jump_ahead(BPF_JMP32 | BPF_JGT | BPF_K, x, 31);
    emit(BPF_ALU | operation | BPF_X, a, x, 0, 0);
    const std::size_t shifted = jump_ahead(BPF_JMP | BPF_JA, 0, 0);
    land(too_far);
    set(a, 0);
    land(shifted);
}

void Translation::calculate(const Instruction& i) {
    const int operation = BPF_OP(i.code);
    const bool by_index = BPF_SRC(i.code) == BPF_X;
    const bool shifts = operation == BPF_LSH || operation == BPF_RSH;
    const bool divides = operation == BPF_DIV || operation == BPF_MOD;
    if (operation == BPF_NEG)
        return emit(BPF_ALU | BPF_NEG, a, 0, 0, 0);
    if (shifts && by_index)
        return shift_by_index(operation);
    if (shifts && i.k > 31)
        return set(a, 0);
    if (divides && by_index)
        jump(BPF_JMP32 | BPF_JEQ | BPF_K, x, 0, 0, rejection());
    emit(BPF_ALU | operation | BPF_SRC(i.code), a, by_index ? x : 0, 0, by_index ? 0 : i.k);
}

void Translation::branch(std::size_t at) {
    const Instruction& i = program_[at];
    const std::size_t next = at + 1;
    if (BPF_OP(i.code) == BPF_JA) {
        if (i.k != 0)
            jump(BPF_JMP | BPF_JA, 0, 0, 0, next + i.k);
        return;
    }
    const bool by_index = BPF_SRC(i.code) == BPF_X;
    if (i.jt == i.jf) {
        if (i.jt != 0)
            jump(BPF_JMP | BPF_JA, 0, 0, 0, next + i.jt);
        return;
    }
    if (i.jt != 0 || BPF_OP(i.code) == BPF_JSET) { // whose opposite eBPF has not
        jump(BPF_JMP32 | BPF_OP(i.code) | BPF_SRC(i.code), a, by_index ? x : 0, by_index ? 0 : i.k, next + i.jt);
        if (i.jf != 0)
            jump(BPF_JMP | BPF_JA, 0, 0, 0, next + i.jf);
        return;
    }
    const int opposite = BPF_OP(i.code) == BPF_JEQ ? BPF_JNE : BPF_OP(i.code) == BPF_JGT ? BPF_JLE : BPF_JLT;
    jump(BPF_JMP32 | opposite | BPF_SRC(i.code), a, by_index ? x : 0, by_index ? 0 : i.k, next + i.jf);
}

void Translation::end(const Instruction& i) {
    if (BPF_RVAL(i.code) == BPF_A)
        emit(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_0, a, 0, 0);
    else
        set(BPF_REG_0, i.k);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void Translation::translate(std::size_t at) {
    const Instruction& i = program_[at];
    if (always_rejects(i))
        return jump(BPF_JMP | BPF_JA, 0, 0, 0, rejection());
    switch (BPF_CLASS(i.code)) {
    case BPF_LD:
        return load(i);
    case BPF_LDX:
        return load_index(i);
    case BPF_ST:
        return to_memory(i.k, a);
    case BPF_STX:
        return to_memory(i.k, x);
    case BPF_ALU:
        return calculate(i);
    case BPF_JMP:
        return branch(at);
    case BPF_RET:
        return end(i);
    default:
        return BPF_MISCOP(i.code) == BPF_TAX ? move(x, a) : move(a, x);
    }
}

Translated Translation::done() {
    find_reached();
    begin();
    for (std::size_t at = 0; at < program_.size(); ++at) {
        begins_[at] = result_.size();
        if (reached_[at])
            translate(at);
    }
    begins_[rejection()] = result_.size();
    if (reached_[rejection()])
        end({BPF_RET | BPF_K, 0, 0, 0});
    for (const Jump& jump : jumps_)
        set_distance(jump.from, begins_[jump.to]);
    return {std::move(result_), std::move(begins_)};
}

} // namespace

Translated translate_to_ebpf(std::span<const Instruction> program, Hook hook) {
    return Translation(program, hook).done();
}

std::vector<bpf_insn> to_ebpf(std::span<const Instruction> program, Hook hook) {
    return translate_to_ebpf(program, hook).instructions;
}

} // namespace wirepath
