// SPDX-License-Identifier: Apache-2.0
// The user's function wirepath_decide() (bpf/wirepath.bpf.h) in our programs.
#pragma once

#include <bpf/libbpf.h>
#include <span>
#include <string>

#include "core/error.hpp"

namespace wirepath::ebpf {

// What libbpf warns of on this thread, kept instead of printed.
class LibbpfWarnings {
  public:
    LibbpfWarnings();
    LibbpfWarnings(const LibbpfWarnings&) = delete;
    LibbpfWarnings& operator=(const LibbpfWarnings&) = delete;
    ~LibbpfWarnings();

    // The last lines of what the verifier says of a program that it refuses; empty: no program was refused.
    std::string of_the_verifier() const;
    // The last lines else.
    std::string of_libbpf() const;

  private:
    std::string text_;
    libbpf_print_fn_t before_;
};

// Our object linked with the user's, of which path is the source (.c) or the object (.o): an object as well. Throws
// Error: bad_option and why, unsupported if there is no clang.
std::string linked_with(std::span<const char> ours, const std::string& path);

} // namespace wirepath::ebpf
