// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "core/sink.hpp"

namespace wirepath {

// Each packet to several sinks, in turn. Does not own them.
class TeeSink final : public Sink {
  public:
    explicit TeeSink(std::vector<Sink*> sinks) : sinks_(std::move(sinks)) {}

    void begin(const Info& info) override {
        for (Sink* sink : sinks_)
            sink->begin(info);
    }
    Status consume(const Batch& batch, Rows rows) noexcept override {
        return each([&](Sink& sink) { return sink.consume(batch, rows); });
    }
    Status idle() noexcept override {
        return each([](Sink& sink) { return sink.idle(); });
    }
    void interface_ends(std::uint16_t interface, const Stats& stats) override {
        for (Sink* sink : sinks_)
            sink->interface_ends(interface, stats);
    }
    Status end(const Stats& stats) noexcept override {
        return each([&](Sink& sink) { return sink.end(stats); });
    }
    Error fault() const override { return sinks_[faulty_]->fault(); }

  private:
    // All of them have their turn, also after one has failed; the first failure counts.
    template <typename Call>
    Status each(Call&& call) noexcept {
        Status result = Status::ok;
        for (std::size_t i = 0; i < sinks_.size(); ++i) {
            const Status status = call(*sinks_[i]);
            if (status != Status::ok && result == Status::ok)
                result = status, faulty_ = i;
        }
        return result;
    }

    std::vector<Sink*> sinks_;
    std::size_t faulty_ = 0;
};

} // namespace wirepath
