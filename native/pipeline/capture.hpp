// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/engine.hpp"
#include "filter/filtered_source.hpp"
#include "linux/interrupt.hpp"
#include "linux/netns.hpp"

namespace wirepath {

// The sources of one capture: every queue or worker of every interface, opened, filtered, started and counted together.
class Capture {
  public:
    explicit Capture(const std::string& netns = {}); // empty: the caller's own; throws Error

    // Opens one more interface or file. An engine that takes packets from the host refuses the interface of the default
    // route unless `take`. Throws Error.
    void add(const Engine& engine, OpenRequest request, const std::string& filter, bool take);
    void set_filter(const std::string& text); // on every source, also while running; throws Error
    void start();                             // throws Error
    void stop() noexcept;

    // From whichever source has something, fairly: for one thread that reads them all.
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept;
    void interrupt() noexcept; // ends receive()
    Error fault() const { return sources_.at(faulty_)->fault(); }

    Stats stats();
    const std::vector<std::unique_ptr<FilteredSource>>& sources() const noexcept { return sources_; }
    const std::shared_ptr<InterfaceTable>& interfaces() const noexcept { return interfaces_; }
    const std::string& filter() const noexcept { return filter_; }

  private:
    Status receive_ready(Batch& into) noexcept;
    Status wait(std::chrono::nanoseconds timeout) noexcept;

    Netns netns_;
    std::shared_ptr<InterfaceTable> interfaces_ = std::make_shared<InterfaceTable>();
    std::vector<std::unique_ptr<FilteredSource>> sources_;
    std::string filter_;
    Interrupt interrupt_;
    std::size_t next_ = 0, faulty_ = 0;
};

} // namespace wirepath
