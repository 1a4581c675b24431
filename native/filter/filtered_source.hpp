// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/copy.hpp"
#include "core/source.hpp"
#include "filter/filter.hpp"

namespace wirepath {

// A source and its filter: what everything behind the engines sees of an engine. Every packet that it delivers matches,
// wherever the filter runs: at the engine's own place where it has one, here where it has none, and at both while
// packets that an earlier filter admitted are still on their way.
class FilteredSource {
  public:
    enum class Kind { live, file };
    FilteredSource(std::unique_ptr<Source> source, Kind kind);

    // Empty text: every packet. Before start() or while running, from any thread. Throws Error.
    void set_filter(const std::string& text);
    Place filtered_by() const noexcept { return place_.load(std::memory_order_relaxed); }

    bool is_file() const noexcept { return kind_ == Kind::file; }
    const Info& info() const noexcept { return source_->info(); }
    void start() { source_->start(); }
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept;
    void interrupt() noexcept {
        asked_to_end_.store(true, std::memory_order_relaxed);
        source_->interrupt();
    }
    // Of an interrupt() that ended nothing: the next receive() is not to end for it.
    void forget_interrupt() noexcept { asked_to_end_.store(false, std::memory_order_relaxed); }
    void stop() noexcept { source_->stop(); }
    // `filtered` is known only if all that was rejected was rejected here, or the source counts what it rejects.
    Stats stats();
    std::optional<Frames> frames() const noexcept { return source_->frames(); }
    std::vector<Observed> observed() { return source_->observed(); }
    Error fault() const { return fault_ ? *fault_ : source_->fault(); }

  private:
    using Programs = std::vector<std::shared_ptr<const Filter>>; // by interface
    std::shared_ptr<const Filter> compile(const std::string& text, const Interface& interface) const;
    void adopt_new_filter() noexcept;
    bool compile_for_new_interfaces() noexcept;
    std::size_t matching(const Batch& batch) noexcept;
    void select(Batch& batch) noexcept;

    std::unique_ptr<Source> source_;
    Kind kind_;

    std::mutex mutex_; // guards the next two, and is taken by the receiving thread only when something is new
    std::string text_;
    std::shared_ptr<const Filter> filter_; // text_ compiled for this source's interface
    std::atomic<std::uint32_t> generation_{0};
    std::atomic<Place> place_{Place::none};
    std::atomic<bool> rejects_uncounted_{false};
    std::atomic<bool> asked_to_end_{false};

    // The receiving thread's own.
    std::uint32_t adopted_ = 0;
    std::string adopted_text_;
    std::shared_ptr<const Filter> adopted_filter_;
    Programs programs_;                     // of a file, whose interfaces may differ in linktype
    std::unique_ptr<std::uint32_t[]> rows_; // that match; as many as the largest batch so far may have
    std::uint32_t rows_size_ = 0;
    std::optional<Error> fault_;
    Counter rejected_, rejected_bytes_;
};

} // namespace wirepath
