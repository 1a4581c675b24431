// SPDX-License-Identifier: Apache-2.0
// BPF programs from their instructions, without an object file and without libbpf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <linux/bpf.h>
#include <span>
#include <string>
#include <vector>

#include "linux/fd.hpp"

namespace wirepath {

struct BpfProgram {
    std::string name; // of letters, digits, _ and .; the kernel keeps 15 of them
    bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
    std::uint32_t attach_type = 0;
    std::uint32_t flags = 0;
    std::uint32_t ifindex = 0; // of the device that it is bound to
    std::vector<bpf_insn> instructions = {};
    // Needed only where a function is passed to a helper (bpf_loop): what describe_functions() says, and the types.
    std::vector<bpf_func_info> functions = {};
    std::uint32_t types = 0; // a descriptor
};

// Says of each function in the program that it is of one type: a static function, of which the verifier then asks
// nothing more. type: its id among `types`, the descriptor of an object's types.
void describe_functions(BpfProgram& program, std::uint32_t types, std::uint32_t type);

// Throws Error: permission, or what the kernel's verifier says of it.
Fd load_bpf_program(const BpfProgram& program);

// What the kernel made of a loaded program. A size is 0 where it does not tell (no JIT, no permission).
struct BpfProgramInfo {
    std::uint32_t id = 0;
    std::uint32_t jited_bytes = 0;      // machine code
    std::uint32_t translated_bytes = 0; // eBPF, after the verifier changed it
    std::uint32_t verified_instructions = 0;
};
BpfProgramInfo bpf_program_info(int program); // throws Error

// Runs a program over a packet (BPF_PROG_TEST_RUN). context: an xdp_md or __sk_buff, where the kernel takes one.
// Returns errno, 0 if it ran; result is then what it returned.
int test_bpf_program(int program, std::span<const std::byte> packet, std::span<const std::byte> context,
                     std::uint32_t& result) noexcept;

} // namespace wirepath
