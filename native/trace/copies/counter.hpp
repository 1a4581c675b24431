// SPDX-License-Identifier: Apache-2.0
// Counts, inside the kernel, what is done to known packets: the user half of copies.bpf.c.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wirepath::trace {

// A row of hooks.def, and how this kernel lets it be observed.
struct CopyHook {
    std::string_view name, role, attributed, meaning;
    std::string observed_by; // "fentry skb_copy_bits"; empty: it is not
    std::string reason;      // why it is not
};

// An interface by its network namespace's inode and its number there.
struct InterfaceAt {
    std::uint32_t netns, ifindex;
};

// The packets to count, as wirepath.bench.frames makes them.
struct KnownPackets {
    std::uint64_t first, count; // the numbers in them: first, first + 1, …
    std::uint32_t frame_bytes;
    InterfaceAt receiver, sender;
};

struct CopyTally {
    std::uint64_t calls, bytes;
};

// All cumulative since the counter was made.
struct CopyCounts {
    std::vector<CopyTally> receiver, sender;           // by hook, in the order of hooks()
    std::map<std::string, std::uint64_t> system_calls; // by name
    std::map<std::uint32_t, std::uint64_t> interrupts; // of all devices, by IRQ number
};

// The programs are attached by links that die with this process, however it ends.
class CopyCounter {
  public:
    // Throws Error: permission, or unsupported where the kernel has no BPF or no type information.
    CopyCounter();
    ~CopyCounter();
    CopyCounter(const CopyCounter&) = delete;
    CopyCounter& operator=(const CopyCounter&) = delete;

    const std::vector<CopyHook>& hooks() const noexcept;
    void count(const KnownPackets& packets) noexcept; // from here on until pause()
    // The calling thread is the one that receives: from here on its system calls and wakeups count. Throws Error.
    void receive_here();
    // These two make no system call: what the kernel still does with the packets counts until pause().
    void leave() noexcept; // nobody receives any more
    void pause() noexcept;
    CopyCounts read() const; // throws Error

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace wirepath::trace
