// SPDX-License-Identifier: Apache-2.0
#include "linux/bpf_splice.hpp"

#include "bpf/filter_mark.h"
#include "core/error.hpp"

namespace wirepath {
namespace {

bool is_place_for_filter(const bpf_insn& i) {
    return i.code == (BPF_ALU64 | BPF_MOV | BPF_K) && i.dst_reg == BPF_REG_0 && i.imm == WIREPATH_FILTER_MARK;
}

bpf_insn call(std::size_t from, std::size_t to) {
    return {BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, static_cast<__s32>(to - from - 1)};
}

} // namespace

// One instruction takes the place of one, and the filter comes behind the last: nothing moves, no jump changes.
BpfProgram FilterSplice::with(std::span<const bpf_insn> filter) const {
    BpfProgram result = program_;
    if (filter.empty())
        return result;
    bool found = false;
    std::vector<bpf_insn>& instructions = result.instructions;
    for (std::size_t at = 0; at < program_.instructions.size(); ++at)
        if (is_place_for_filter(instructions[at])) {
            instructions[at] = call(at, program_.instructions.size());
            found = true;
        }
    if (!found)
        throw Error(Code::unsupported, "putting a filter into the BPF program " + program_.name, 0,
                    "It does not call filter_packet()");
    instructions.insert(instructions.end(), filter.begin(), filter.end());
    return result;
}

Fd FilterSplice::load(std::span<const bpf_insn> filter) const { return load_bpf_program(with(filter)); }

} // namespace wirepath
