// SPDX-License-Identifier: Apache-2.0
#include "pipeline/recording.hpp"

#include <algorithm>
#include <utility>

#include "core/engine.hpp"

namespace wirepath {

Recording::Recording(std::string path, std::string filter, bool repeated, std::size_t memory)
    : path_(std::move(path)), filter_(std::move(filter)) {
    open();
    if (!repeated || keep_all(memory))
        return;
    if (path_ == "-")
        throw Error(Code::unsupported, "sending what standard input holds more than once: it is too much to be kept", 0,
                    "Write it to a file first");
    open();
}

void Recording::open() {
    OpenRequest request;
    request.target = path_;
    interfaces_ = request.interfaces;
    auto sources = engine_named("replay").open(request);
    source_ = std::make_unique<FilteredSource>(std::move(sources.front()), FilteredSource::Kind::file);
    if (!filter_.empty())
        source_->set_filter(filter_);
    source_->start();
}

Recording::Kept Recording::keep(const Batch& batch, std::size_t bytes) {
    Kept kept{Mapping::anonymous(std::max<std::size_t>(bytes, 1)), Batch(batch.size())};
    auto* to = static_cast<std::byte*>(kept.memory.data());
    kept.batch.begin(to, bytes, {});
    for (std::uint32_t row = 0; row < batch.size(); ++row) {
        Packet packet = batch[row];
        copy_payload(to, packet.data, copies_);
        packet.data = {to, packet.data.size()};
        to += packet.data.size();
        kept.batch.push(packet);
    }
    return kept;
}

// False: it is too much. Throws Error.
bool Recording::keep_all(std::size_t most) {
    for (std::size_t total = 0;;) {
        const Status status = source_->receive(read_, std::chrono::nanoseconds{-1});
        if (status == Status::end_of_file)
            return true;
        if (status != Status::ok)
            throw source_->fault();
        std::size_t bytes = 0;
        for (std::uint32_t row = 0; row < read_.size(); ++row)
            bytes += read_.columns()->caplen[row];
        total += bytes;
        if (total > most) {
            kept_.clear();
            return false;
        }
        if (!read_.empty())
            kept_.push_back(keep(read_, bytes));
    }
}

Status Recording::next(const Batch*& batch) noexcept {
    if (!kept_.empty()) {
        if (next_ == kept_.size())
            return Status::end_of_file;
        batch = &kept_[next_++].batch;
        return Status::ok;
    }
    const Status status = source_->receive(read_, std::chrono::nanoseconds{-1});
    if (status == Status::error || status == Status::no_buffer)
        fault_ = source_->fault();
    batch = &read_;
    return status;
}

bool Recording::again() noexcept {
    next_ = 0;
    if (!kept_.empty())
        return true;
    try {
        open();
        return true;
    } catch (const Error& error) {
        fault_ = error;
        return false;
    }
}

void Recording::interrupt() noexcept { source_->interrupt(); }

} // namespace wirepath
