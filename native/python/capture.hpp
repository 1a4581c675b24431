// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <mutex>

#include "pipeline/capture.hpp"
#include "python/batch.hpp"

namespace wirepath::python {

class PyCapture {
  public:
    explicit PyCapture(const std::string& netns) : capture_(netns) {}
    ~PyCapture() { close(); }
    PyCapture(const PyCapture&) = delete;
    PyCapture& operator=(const PyCapture&) = delete;

    void add(const std::string& engine, const std::string& target, const std::string& filter, std::uint32_t snaplen,
             bool promisc, const std::map<std::string, std::string>& options, bool take);
    void start();
    nb::tuple receive(double timeout_s); // (status, Batch or None); GIL held, released inside
    void interrupt() noexcept { capture_.interrupt(); }
    void close() noexcept;
    Stats stats();
    std::vector<std::optional<Frames>> frames(); // by source; waits for whoever receives
    Capture& capture();                          // throws Error closed
    Capture& described() noexcept { return capture_; }
    bool closed() const noexcept { return closed_; }

    // Whoever receives holds it: one thread, or a pipeline.
    std::mutex& receiving() noexcept { return receiving_; }

  private:
    std::pair<Status, std::shared_ptr<BatchState>> receive_once(std::chrono::nanoseconds timeout);
    std::shared_ptr<BatchState> unused_state();

    Capture capture_;
    std::mutex receiving_;
    std::atomic<bool> closed_{false};
    std::atomic<bool> started_{false};
    std::optional<Stats> last_stats_; // of a closed capture
    std::shared_ptr<BatchState> current_;
    std::array<std::shared_ptr<BatchState>, 4> states_; // those that Python has let go are used again
};

} // namespace wirepath::python
