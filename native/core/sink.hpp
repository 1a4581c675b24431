// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include "core/batch.hpp"
#include "core/rows.hpp"
#include "core/source.hpp"

namespace wirepath {

// Where batches end. One thread.
class Sink {
  public:
    virtual ~Sink() = default;

    // Before the first batch. Interfaces may still be added to the info's table later. Throws Error.
    virtual void begin(const Info& info) = 0;
    // Takes all of these rows, or returns no_space or error and fault() says why, or end_of_file: it wants no more.
    virtual Status consume(const Batch& batch, Rows rows) noexcept = 0;
    // Called when nothing has come for a moment: the time to flush or to rotate.
    virtual Status idle() noexcept { return Status::ok; }
    // Before end(): what is known of each interface by itself; end() has their sum.
    virtual void interface_ends(std::uint16_t /*interface*/, const Stats& /*stats*/) {}
    // The last call. What could be written stays readable, whatever happened before.
    virtual Status end(const Stats& stats) noexcept = 0;
    virtual Error fault() const = 0;
};

} // namespace wirepath
