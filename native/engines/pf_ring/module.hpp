// SPDX-License-Identifier: Apache-2.0
// What PF_RING's kernel module says of itself, in /proc/net/pf_ring and /sys/module/pf_ring.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engines/pf_ring/library.hpp"
#include "linux/fd.hpp"

namespace wirepath::pf_ring {

// "Name : value" lines.
using Fields = std::map<std::string, std::string, std::less<>>;

class Module {
  public:
    // As it is loaded now, in the calling thread's network namespace. Throws Error unsupported: it is not loaded, or
    // its slots are of a version that is not known here.
    explicit Module(const Library& library);

    const std::string& version() const noexcept { return version_; }
    std::string slots() const { return field("Ring slots"); }
    // Of /sys/module/pf_ring/parameters; empty: this module has no such parameter.
    std::string parameter(const std::string& name) const;
    bool parameter_is_set(const std::string& name) const;
    // Whether the interface's driver is one of ntop's, which can give its NIC to a program. nullopt: it is not known.
    std::optional<bool> zero_copy_driver(const std::string& interface) const;
    // The file about one ring, to be read as often as is liked; none where there is no such file.
    Fd ring_file(const std::string& interface, std::uint32_t ring) const;

  private:
    std::string field(std::string_view name) const;

    std::string proc_, parameters_;
    Fields info_;
    std::string version_;
};

// What the file about a ring says now.
struct RingFile {
    std::uint64_t packets, lost, inserted, read;
    bool filtered; // by a program in the kernel
};
std::optional<RingFile> read_ring_file(int fd);

// Why zero-copy may have been refused, besides what the library says: what it needs and is not there.
std::string missing_for_zero_copy(const Library& library, const Module& module, const std::string& interface);

} // namespace wirepath::pf_ring
