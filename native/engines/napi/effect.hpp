// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/source.hpp"
#include "linux/net_settings.hpp"
#include "linux/netdevice.hpp"
#include "linux/nic_interrupts.hpp"

namespace wirepath::napi {

// Counts the NIC's interrupts, the kernel's polls of it and its packets, and says what the settings did. Any thread.
class Effect {
  public:
    // In the interface's network namespace. What cannot be counted is no error.
    Effect(const NetDevice& device, const NetSettings& settings);
    ~Effect();

    // Counts for so long what there is before anything is set.
    void measure_before(std::chrono::milliseconds time);
    void begin();           // the settings are in force
    void finish() noexcept; // and will not be any more
    std::vector<Observed> observed();

  private:
    struct Polls; // the program that counts them
    struct Reading {
        std::chrono::steady_clock::time_point at;
        std::optional<double> interrupts, packets, polls, polled, empty; // since the counters began
    };
    struct Span {
        double seconds = 0;
        std::optional<double> interrupts, packets, polls, polled, empty;
        std::optional<double> interrupts_a_packet() const;
    };

    Reading read() const;
    static Span between(const Reading& from, const Reading& to);
    std::optional<double> counter(const char* name) const;
    Span before() const;
    std::string say(const Span& before, const Span& during) const;

    NetDevice device_;
    const Sysfs& sysfs_;
    NicInterrupts interrupts_;
    std::unique_ptr<Polls> polls_;
    std::string no_polls_; // why they are not counted

    std::mutex mutex_;
    std::optional<Reading> baseline_, began_, finished_;
};

} // namespace wirepath::napi
