// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "linux/fd.hpp"

namespace wirepath::ebpf {

// A BPF program in C, compiled by the clang that is installed: a file in memory that holds the object. Throws Error:
// unsupported if there is no clang, bad_option and what clang says if it does not compile.
Fd compile_with_clang(const std::string& source);

// Of what a descriptor is open for, for who takes only paths.
inline std::string path_of(const Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

// An empty file in memory. Throws Error.
Fd file_in_memory(const char* name);

// All of a file. Throws Error.
std::string contents_of(const Fd& file);

} // namespace wirepath::ebpf
