// SPDX-License-Identifier: Apache-2.0
#include "filter/filtered_source.hpp"

#include <net/if.h>
#include <utility>

namespace wirepath {
namespace {

using Steady = std::chrono::steady_clock;

// It may have been renamed since it was opened.
std::string name_now(const Interface& interface) {
    char name[IF_NAMESIZE];
    return interface.ifindex != 0 && ::if_indextoname(interface.ifindex, name) != nullptr ? name : interface.name;
}

std::uint64_t bytes_of(const Batch& batch) {
    std::uint64_t sum = 0;
    for (std::uint32_t row = 0; row < batch.size(); ++row)
        sum += batch.columns()->caplen[row];
    return sum;
}

} // namespace

FilteredSource::FilteredSource(std::unique_ptr<Source> source, Kind kind) : source_(std::move(source)), kind_(kind) {}

std::shared_ptr<const Filter> FilteredSource::compile(const std::string& text, const Interface& interface) const {
    const std::uint32_t snaplen = interface.snaplen != 0 ? interface.snaplen : 262144;
    if (kind_ == Kind::live)
        return Filter::compile_live(text, name_now(interface), snaplen, interface.linktype);
    return Filter::compile(text, interface.linktype, snaplen);
}

void FilteredSource::set_filter(const std::string& text) {
    const std::lock_guard lock(mutex_);
    const InterfaceTable& interfaces = *info().interfaces;
    std::shared_ptr<const Filter> filter;
    if (!text.empty() && interfaces.size() > info().interface)
        filter = compile(text, interfaces[info().interface]);
    const bool had_one_elsewhere = place_ != Place::none && place_ != Place::pipeline;
    const Place place = kind_ == Kind::live ? source_->set_filter(filter)
                        : !text.empty()     ? Place::pipeline
                                            : Place::none;
    if (had_one_elsewhere || (place != Place::none && place != Place::pipeline))
        rejects_uncounted_.store(true, std::memory_order_relaxed);
    place_.store(place, std::memory_order_relaxed);
    text_ = text;
    filter_ = std::move(filter);
    generation_.fetch_add(1, std::memory_order_release);
}

void FilteredSource::adopt_new_filter() noexcept {
    if (adopted_ == generation_.load(std::memory_order_acquire))
        return;
    const std::lock_guard lock(mutex_);
    adopted_ = generation_.load(std::memory_order_relaxed);
    adopted_text_ = text_;
    adopted_filter_ = filter_;
    programs_.clear();
}

bool FilteredSource::compile_for_new_interfaces() noexcept {
    if (kind_ == Kind::live)
        return true;
    try {
        for (std::size_t i = programs_.size(); i < info().interfaces->size(); ++i)
            programs_.push_back(compile(adopted_text_, (*info().interfaces)[i]));
        return true;
    } catch (const Error& error) {
        fault_ = error;
        return false;
    }
}

// Packets of one interface that follow each other have one program.
std::size_t FilteredSource::matching(const Batch& batch) noexcept {
    if (kind_ == Kind::live)
        return adopted_filter_->select(batch, 0, batch.size(), rows_.get());
    const auto& interfaces = batch.columns()->interface;
    std::size_t count = 0;
    for (std::uint32_t begin = 0, end = 0; begin < batch.size(); begin = end) {
        const std::uint16_t interface = interfaces[begin];
        while (end < batch.size() && interfaces[end] == interface)
            ++end;
        count += programs_[interface]->select(batch, begin, end, rows_.get() + count);
    }
    return count;
}

void FilteredSource::select(Batch& batch) noexcept {
    if (batch.size() > rows_size_) {
        rows_size_ = batch.capacity();
        rows_ = std::make_unique<std::uint32_t[]>(rows_size_);
    }
    const std::size_t kept = matching(batch);
    if (kept == batch.size())
        return;
    const std::uint64_t before = bytes_of(batch);
    rejected_.add(batch.size() - kept);
    batch.keep({rows_.get(), kept});
    rejected_bytes_.add(before - bytes_of(batch));
}

Status FilteredSource::receive(Batch& into, std::chrono::nanoseconds timeout) noexcept {
    const auto start = Steady::now();
    for (auto left = timeout;;) {
        const Status status = source_->receive(into, left);
        if (status == Status::interrupted && !asked_to_end_.exchange(false, std::memory_order_relaxed))
            continue; // forgotten
        if (status != Status::ok)
            return status;
        adopt_new_filter();
        const bool here = !adopted_text_.empty() && (place_ == Place::pipeline || !source_->filter_settled());
        if (!here)
            return Status::ok;
        if (!compile_for_new_interfaces())
            return Status::error;
        select(into);
        if (!into.empty() || !into.annotations().empty())
            return Status::ok;
        if (timeout.count() < 0)
            continue;
        left = timeout - (Steady::now() - start);
        if (left.count() <= 0)
            return Status::timeout;
    }
}

Stats FilteredSource::stats() {
    Stats stats = source_->stats();
    if (stats.received)
        *stats.received -= rejected_.get();
    if (stats.received_bytes)
        *stats.received_bytes -= rejected_bytes_.get();
    const bool unknown = rejects_uncounted_ && !stats.filtered;
    stats.filtered = unknown ? std::nullopt : std::optional(stats.filtered.value_or(0) + rejected_.get());
    return stats;
}

} // namespace wirepath
