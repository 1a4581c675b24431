// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/copy.hpp"
#include "core/sink.hpp"

namespace wirepath {

// Counts, and keeps nothing.
class CountSink final : public Sink {
  public:
    void begin(const Info&) override {}
    Status consume(const Batch& batch, Rows rows) noexcept override {
        std::uint64_t sum = 0;
        for (std::uint32_t row = rows.begin; row < rows.end; ++row)
            sum += batch.columns()->origlen[row];
        packets_.add(rows.end - rows.begin);
        bytes_.add(sum);
        return Status::ok;
    }
    Status end(const Stats&) noexcept override { return Status::ok; }
    Error fault() const override { return Error(Code::system, "counting"); }

    std::uint64_t packets() const noexcept { return packets_.get(); }
    std::uint64_t bytes() const noexcept { return bytes_.get(); } // on the wire

  private:
    Counter packets_, bytes_;
};

} // namespace wirepath
