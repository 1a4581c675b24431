// SPDX-License-Identifier: Apache-2.0
// Classic BPF, as libpcap compiles it, for the kernel's other machine: eBPF. Not to be included beside libpcap, which
// has a struct bpf_insn of its own.
#pragma once

#include <cstdint>
#include <linux/bpf.h>
#include <span>
#include <vector>

#include "filter/filter.hpp"

namespace wirepath {

// The kind of program that the filter becomes a part of: what its context is, and how it may look at the packet.
enum class Hook : std::uint8_t { xdp, tc, socket };

// A function of eBPF: R1 is the program's context (xdp_md, __sk_buff), R0 the classic program's value: 0 rejects. At
// XDP, which has no VLAN metadata of its own, R2 is the tag that the caller knows of: TPID in the upper half, TCI in
// the lower, 0 if there is none beside the bytes. It stands alone, or is called (linux/bpf_splice.hpp). The verdict is
// that of pcap_offline_filter and of our own machine: an offset that lies in no packet rejects, however it came to be.
//
// Throws Error, unsupported: the program asks for what the hook cannot tell, or is too long for eBPF's jumps.
std::vector<bpf_insn> to_ebpf(std::span<const Instruction> program, Hook hook);

// The same, with what became of each classic instruction: it begins at begins[i] and ends where the next one begins.
// What stands before the first prepares; what stands behind the last one, at begins[program.size()], rejects.
struct Translated {
    std::vector<bpf_insn> instructions;
    std::vector<std::size_t> begins;
};
Translated translate_to_ebpf(std::span<const Instruction> program, Hook hook);

} // namespace wirepath
