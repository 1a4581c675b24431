// SPDX-License-Identifier: Apache-2.0
// What the kernel throws away and why, counted for as long as this lives.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wirepath::trace {

struct DropRow {
    std::uint64_t location; // address in the kernel
    std::uint32_t reason;
    std::uint32_t netns;    // inode number; 0: not known
    std::uint32_t ifindex;  // 0: not known
    std::uint32_t protocol; // ethertype; 0: none
    std::uint64_t packets;
};

struct XdpRow {
    std::string kind; // exception, redirect, devmap
    int code;         // exception: the action; else an errno
    std::uint32_t ifindex;
    std::uint32_t netns;
    std::uint64_t frames;
};

class DropReasons {
  public:
    DropReasons(); // throws Error
    ~DropReasons();
    std::vector<DropRow> drops() const;
    std::vector<XdpRow> xdp_losses() const;
    std::uint64_t uncounted() const; // what found no room in our tables
    void stop() noexcept;            // detaches; what was counted can no longer be read

  private:
    struct Attached;
    std::unique_ptr<Attached> attached_;
};

// The running kernel's own names, of enum skb_drop_reason, without their common prefix. Throws Error.
std::map<std::uint32_t, std::string> drop_reason_names();

} // namespace wirepath::trace
