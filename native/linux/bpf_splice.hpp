// SPDX-License-Identifier: Apache-2.0
// A filter inside a program that clang compiled: without tail calls, which programs bound to a device may not make, and
// without compiling anything where Wirepath runs.
#pragma once

#include <linux/bpf.h>
#include <span>
#include <vector>

#include "linux/bpf_program.hpp"
#include "linux/fd.hpp"

namespace wirepath {

// A program that says filter_packet() (bpf/filter.bpf.h), once or more often.
class FilterSplice {
  public:
    // The program as libbpf loaded it: loaded_program() in linux/bpf.hpp. The object that it is from must stay open for
    // as long as load() is called, since the descriptors of the maps in the instructions are the object's.
    explicit FilterSplice(BpfProgram program) : program_(std::move(program)) {}

    // The program with the filter in it (to_ebpf() for the same hook; empty: the one that lets everything through), as
    // another program of the same type: to be attached, or to take the place of the one that is (bpf_link_update),
    // which is atomic. It shares the maps. Throws Error: what the kernel's verifier says, or that the program has no
    // place for a filter.
    Fd load(std::span<const bpf_insn> filter) const;

    // What load() loads.
    BpfProgram with(std::span<const bpf_insn> filter) const;

  private:
    BpfProgram program_;
};

} // namespace wirepath
