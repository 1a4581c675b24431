// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/source.hpp"
#include "engines/ebpf/attachment.hpp"
#include "engines/ebpf/layout.h"
#include "engines/ebpf/processes.hpp"
#include "engines/ebpf/settings.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/mapping.hpp"

struct packets_bpf; // the skeleton, made by bpftool
struct bpf_program;

namespace wirepath::ebpf {

// The programs, what they write into, and where they are attached.
class Program {
  public:
    // Loaded, not attached. Throws Error: permission, unsupported.
    Program(const std::vector<Device>& devices, const Settings& settings);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    // What the programs let through, nullptr: everything. Attached ones are replaced; no packet misses both. Throws
    // Error, unsupported where the hook cannot tell what the filter asks: the one in force stays.
    void set_filter(const Filter* filter);
    // Throws Error: busy if an interface has an XDP program.
    void attach();
    void detach() noexcept;

    // nullptr: not asked for.
    const std::shared_ptr<ProcessTable>& processes() const noexcept { return processes_; }

    Mapping map_blocks() const; // throws Error
    free_blocks& free() noexcept;
    cpu_state* cpus() noexcept;
    std::uint32_t cpu_count() const noexcept { return cpu_count_; }
    int bell() const noexcept;
    std::uint32_t& armed() noexcept;

    struct Counts {
        std::uint64_t lost = 0, rejected = 0;
    };
    Counts counts() const noexcept;

    // Of an attached program.
    std::string place() const;
    const std::vector<Granted>& granted() const noexcept { return granted_; }
    const std::vector<std::string>& notes() const noexcept { return notes_; }

    // Throws Error: permission or unsupported, if this process may not load such programs.
    static void check_loadable();

  private:
    static void check_machine();
    struct DestroySkeleton {
        void operator()(packets_bpf* skeleton) const noexcept;
    };
    using Skeleton = std::unique_ptr<packets_bpf, DestroySkeleton>;
    struct Tags { // which sources of VLAN tags to try at XDP
        bool driver, tracepoint;
    };

    struct Attached {
        std::unique_ptr<Attachment> attachment;
        const bpf_program* program; // without its filter
    };

    void load();
    Fd load_with(const bpf_program* program, std::span<const bpf_insn> filter) const;
    std::uint32_t decide_type() const; // of the user's function
    bool try_load(Tags tags);
    void configure(packets_bpf& skeleton, Tags tags) const;
    bool may_be_native() const noexcept { return settings_.xdp_mode != XdpMode::generic; }
    bool may_be_generic() const noexcept { return settings_.xdp_mode != XdpMode::native; }
    void attach_to_tc(const Device& device, Way way, const bpf_program* program);
    void attach_to_xdp(bool native);
    void attach_to_best_xdp();
    void tell_tags(bool native);
    void be_promiscuous();
    void note_processes();

    std::vector<Device> devices_;
    Settings settings_;
    ForkGuard fork_guard_;
    std::string object_; // with the user's program in it; empty: ours alone
    Skeleton skeleton_;
    Tags tags_{};
    std::uint32_t cpu_count_;
    std::vector<bpf_insn> filter_; // empty: everything
    std::vector<Attached> attached_;
    std::shared_ptr<ProcessTable> processes_;
    std::optional<SocketMakers> makers_;
    Fd tag_link_;    // of the tracepoint that sees VLAN tags, generic XDP only
    Fd promiscuity_; // a packet socket: the interfaces are promiscuous for as long as it is open
    std::vector<Granted> granted_;
    std::vector<std::string> notes_;
};

} // namespace wirepath::ebpf
