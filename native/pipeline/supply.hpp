// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/batch.hpp"
#include "core/error.hpp"
#include "core/interfaces.hpp"
#include "core/status.hpp"

namespace wirepath {

// What is to be sent, batch by batch, again and again if that is wanted. One thread; interrupt() from any.
class Supply {
  public:
    virtual ~Supply() = default;

    // The next batch: ok, and it is there until the next call. end_of_file: this was one pass. no_buffer: what was
    // handed out before is still in use. interrupted, error.
    virtual Status next(const Batch*& batch) noexcept = 0;
    virtual bool again() noexcept = 0; // from the beginning; false: it cannot, fault() says why
    virtual void interrupt() noexcept {}
    virtual Error fault() const = 0;
    // By Packet::interface; a file may add some while it is read.
    virtual const InterfaceTable& interfaces() const noexcept = 0;
    virtual bool has_times() const noexcept = 0; // so that it can be sent as it was recorded
};

} // namespace wirepath
