// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "core/processes.hpp"

namespace wirepath {

enum class Clock : std::uint8_t { host, adapter, adapter_unsynced };

// Where packets came from: a network interface, or one that a file describes.
struct Interface {
    std::string name;
    std::string description;
    std::uint32_t ifindex = 0;  // 0: not an interface of this host
    std::uint32_t linktype = 1; // a LINKTYPE_ number
    std::uint32_t snaplen = 0;  // bytes, 0: no limit
    Clock clock = Clock::host;
    std::string filter; // the expression in force, empty: none
    std::string os, hardware;
    std::uint64_t speed_bps = 0; // 0: unknown
    std::string mac;             // 6 bytes, empty: unknown
    std::string options;         // from a pcapng file: its options as they stood, in this machine's byte order
};

// The interfaces of one capture, shared by its sources and its sinks: Packet::interface is an index here. It only
// grows: a file may introduce an interface between two packets.
class InterfaceTable {
  public:
    std::uint16_t add(Interface interface);                      // throws Error after 65,535
    void set_filter(std::size_t index, const std::string& text); // before the capture starts
    const Interface& operator[](std::size_t index) const;
    std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }

    // Whose packets they are, where a source tells it (Extra::pid); nullptr: none does. Set before the capture starts.
    void set_processes(std::shared_ptr<Processes> processes) { processes_ = std::move(processes); }
    const std::shared_ptr<Processes>& processes() const noexcept { return processes_; }

  private:
    std::shared_ptr<Processes> processes_;
    mutable std::mutex mutex_;
    std::deque<Interface> items_; // a deque: references stay valid
    std::atomic<std::size_t> size_{0};
};

} // namespace wirepath
