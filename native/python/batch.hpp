// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>

#include "core/batch.hpp"
#include "core/interfaces.hpp"
#include "python/bind.hpp"

namespace wirepath::python {

struct BatchState {
    Batch batch;
    std::shared_ptr<InterfaceTable> interfaces;
    std::mutex
        payload; // a view may be asked for on one thread while the next receive() takes the payload back on another
};

// A Batch in Python. Its columns are safe for ever; its payload until the next receive(), or for as long as a view
// lives.
class PyBatch {
  public:
    explicit PyBatch(std::shared_ptr<BatchState> state) : state_(std::move(state)) {}
    BatchState& state() const noexcept { return *state_; }
    const Batch& batch() const noexcept { return state_->batch; }
    // Its payload, pinned; throws Error closed when it went back.
    std::pair<std::span<const std::byte>, Lease> payload() const;

  private:
    std::shared_ptr<BatchState> state_;
};

} // namespace wirepath::python
