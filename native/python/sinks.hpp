// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>

#include "core/sink.hpp"
#include "python/batch.hpp"

namespace wirepath::python {

// A sink in Python: given to a pipeline, or written to batch by batch.
class PySink {
  public:
    explicit PySink(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}
    virtual ~PySink() = default;

    Sink& sink() noexcept { return *sink_; }
    void write(const PyBatch& batch); // throws Error
    void close();                     // throws Error; the second time does nothing
    void end(const Stats& stats);     // throws Error
    void mark_begun() noexcept { begun_ = true; }
    bool begun() const noexcept { return begun_; }

  private:
    std::unique_ptr<Sink> sink_;
    std::mutex mutex_;
    bool begun_ = false, ended_ = false;
};

template <typename Kind>
class PySinkOf final : public PySink {
  public:
    explicit PySinkOf(std::unique_ptr<Kind> sink) : PySink(std::move(sink)) {}
    Kind& typed() noexcept { return static_cast<Kind&>(sink()); }
};

} // namespace wirepath::python
