// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/source.hpp"
#include "engines/af_xdp/settings.hpp"
#include "filter/filter.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"

namespace wirepath::af_xdp {

// Where a VLAN tag that is not in the bytes comes from.
enum class TagSource { driver, tracepoint, nowhere };

// The redirect program on the interface, shared by the sockets of its queues. It is attached by a BPF link, which dies
// with the last descriptor of it: nothing is left behind, however the process ends. Until a queue's socket is in its
// map that queue's packets go on to the network stack.
class Program {
  public:
    // Throws Error: busy if the interface has an XDP program, permission, unsupported.
    Program(const Device& device, const Settings& settings);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void take_queue(std::uint32_t queue, int socket); // throws Error
    void leave_queue(std::uint32_t queue) noexcept;

    // nullptr: none. Whether it is in the program, which then passes on to the stack what it rejects; else the program
    // takes everything. From any thread; the packets that are being received meet the old one. Throws Error if the old
    // one cannot be replaced.
    bool set_filter(const Filter* filter);
    // By the filter, of a queue's packets, since this was attached. Nothing: this process may not read it any more.
    std::optional<std::uint64_t> rejected(std::uint32_t queue) const noexcept;

    bool native() const noexcept { return native_; }
    bool metadata() const noexcept { return metadata_; } // stands in front of each packet
    const std::vector<Granted>& granted() const noexcept { return granted_; }
    const std::vector<std::string>& notes() const noexcept { return notes_; }

    // Throws Error: permission or unsupported, if this process may not load such a program.
    static void check_loadable();

  private:
    struct Loaded; // what libbpf loaded
    Fd with_filter(const Filter& filter) const noexcept;
    void attach(const Device& device, const Settings& settings, bool native);
    void tell(const Settings& settings, TagSource tags);
    void be_promiscuous(const Device& device);
    void detach() noexcept;

    ForkGuard fork_guard_;
    std::unique_ptr<Loaded> loaded_;
    Fd link_;        // of the program
    Fd tag_link_;    // of the tracepoint that sees VLAN tags, generic mode only
    Fd promiscuity_; // a packet socket: the interface is promiscuous for as long as it is open
    bool native_ = false, metadata_ = false;
    std::vector<Granted> granted_;
    std::vector<std::string> notes_;

    std::mutex replacing_;            // guards the next two
    std::vector<Instruction> filter_; // that is asked for; empty: none
    bool filters_ = false;            // it is in the program that is attached
};

} // namespace wirepath::af_xdp
