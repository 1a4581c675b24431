// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "core/source.hpp"
#include "engines/napi/tuning.hpp"

namespace wirepath::napi {

// A source of another engine, while the interface polls as the tuning says.
class TunedSource final : public Source {
  public:
    // first: of those that share the tuning, the one that tells of it.
    // busy: its socket has asked the kernel for busy polling.
    TunedSource(std::unique_ptr<Source> inner, std::shared_ptr<Tuning> tuning, bool first, bool busy)
        : inner_(std::move(inner)), tuning_(std::move(tuning)), first_(first), busy_(busy), info_(inner_->info()) {
        info_.engine = "napi";
        tuning_->expect(info_);
    }
    ~TunedSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override { return inner_->set_filter(std::move(filter)); }
    bool filter_settled() const noexcept override { return inner_->filter_settled(); }
    void start() override {
        inner_->start();
        tuning_->started();
    }
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept override {
        return inner_->receive(into, timeout);
    }
    void interrupt() noexcept override { inner_->interrupt(); }
    // First the settings: what an XDP program has in the driver may go with it, NAPI instances among that.
    void stop() noexcept override {
        tuning_->stopped();
        const std::lock_guard lock(stopping_);
        if (!std::exchange(stopped_, true))
            napi_id_ = incoming_napi_id(inner_->info().fd);
        inner_->stop();
    }
    Stats stats() override { return inner_->stats(); }
    std::optional<Frames> frames() const noexcept override { return inner_->frames(); }
    std::vector<Observed> observed() override;
    Error fault() const override { return inner_->fault(); }

  private:
    static unsigned incoming_napi_id(int socket) noexcept;

    std::unique_ptr<Source> inner_;
    std::shared_ptr<Tuning> tuning_;
    bool first_, busy_;
    Info info_;
    std::mutex stopping_;
    bool stopped_ = false;
    unsigned napi_id_ = 0; // when it was stopped
};

} // namespace wirepath::napi
