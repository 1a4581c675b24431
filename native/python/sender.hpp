// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/sender.hpp"
#include "python/batch.hpp"
#include "python/bind.hpp"

namespace wirepath::python {

class PySender {
  public:
    PySender(const std::string& engine, const std::string& interface, const std::map<std::string, std::string>& options,
             const std::string& netns, bool force);
    ~PySender() { close(); }
    PySender(const PySender&) = delete;
    PySender& operator=(const PySender&) = delete;

    // (status, rows that it is through with); GIL held, released inside. Throws Error.
    nb::tuple send(const PyBatch& batch, std::uint32_t first, double timeout_s);
    bool drain(double timeout_s); // false: not all in time
    void interrupt() noexcept;
    void close() noexcept;
    SendStats stats();
    const SenderInfo& info() const noexcept { return info_; }
    Sender& sender(); // throws Error closed
    bool closed() const noexcept { return closed_; }

    // Whoever sends holds it: one thread, or a run.
    std::mutex& sending() noexcept { return sending_; }

  private:
    template <typename Step>
    Status in_slices(double timeout_s, Step step);

    std::mutex sending_;
    std::mutex life_; // the sender is there, or its last counters are
    std::unique_ptr<Sender> sender_;
    SenderInfo info_;
    SendStats last_stats_;
    std::atomic<bool> closed_{false};
};

} // namespace wirepath::python
