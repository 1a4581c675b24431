// SPDX-License-Identifier: Apache-2.0
#include "pipeline/capture.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

#include "linux/net_settings.hpp"
#include "linux/routes.hpp"

namespace wirepath {
namespace {

using Steady = std::chrono::steady_clock;

// Before anything is opened.
void refuse_default_route(const Engine& engine, const OpenRequest& request) {
    if (engine.takes_packets)
        wirepath::refuse_default_route(engine.name,
                                       engine.takes_from != nullptr ? engine.takes_from(request) : request.target);
}

// An engine may take packets in one of its modes only: then nothing is attached before start().
void refuse_default_route(const Engine& engine, const Info& info, std::size_t first) {
    for (std::size_t i = first; !engine.takes_packets && info.takes_packets && i < info.interfaces->size(); ++i)
        wirepath::refuse_default_route(engine.name, (*info.interfaces)[i].name);
}

} // namespace

Capture::Capture(const std::string& netns) : netns_(netns) {}

void Capture::add(const Engine& engine, OpenRequest request, const std::string& filter, bool take) {
    const Netns::Inside inside(netns_);
    if (engine.target == Takes::interface)
        heal_network_settings();
    if (!take)
        refuse_default_route(engine, request);
    request.interfaces = interfaces_;
    request.take = take;
    const auto kind = engine.target == Takes::file ? FilteredSource::Kind::file : FilteredSource::Kind::live;
    const std::size_t known = interfaces_->size();
    for (auto& source : engine.open(request)) {
        if (!take)
            refuse_default_route(engine, source->info(), known);
        auto filtered = std::make_unique<FilteredSource>(std::move(source), kind);
        if (!filter.empty())
            filtered->set_filter(filter);
        sources_.push_back(std::move(filtered));
    }
    for (std::size_t i = known; kind == FilteredSource::Kind::live && i < interfaces_->size(); ++i)
        interfaces_->set_filter(i, filter);
    filter_ = filter;
}

void Capture::set_filter(const std::string& text) {
    const Netns::Inside inside(netns_);
    for (auto& source : sources_)
        source->set_filter(text);
    filter_ = text;
}

void Capture::start() {
    const Netns::Inside inside(netns_);
    for (auto& source : sources_)
        source->start();
}

void Capture::stop() noexcept {
    for (auto& source : sources_)
        source->stop();
}

void Capture::interrupt() noexcept {
    for (auto& source : sources_)
        source->interrupt(); // a pipeline waits there
    if (sources_.size() > 1)
        interrupt_.raise();
}

Status Capture::receive(Batch& into, std::chrono::nanoseconds timeout) noexcept {
    if (sources_.size() == 1)
        return sources_.front()->receive(into, timeout);
    const auto start = Steady::now();
    for (auto left = timeout;;) {
        if (interrupt_.take())
            return Status::interrupted;
        if (const Status status = receive_ready(into); status != Status::timeout)
            return status;
        if (const Status status = wait(left); status != Status::ok)
            return status;
        left = timeout.count() < 0 ? timeout : std::max(timeout - (Steady::now() - start), std::chrono::nanoseconds{0});
    }
}

// One pass over the sources, from the one after the last that delivered.
Status Capture::receive_ready(Batch& into) noexcept {
    std::size_t ended = 0;
    for (std::size_t tried = 0; tried < sources_.size(); ++tried) {
        const std::size_t at = next_;
        next_ = next_ + 1 == sources_.size() ? 0 : next_ + 1;
        const Status status = sources_[at]->receive(into, std::chrono::nanoseconds{0});
        if (status == Status::end_of_file && ++ended < sources_.size())
            continue;
        if (status == Status::timeout || status == Status::interrupted)
            continue;
        faulty_ = at;
        return status;
    }
    return Status::timeout;
}

Status Capture::wait(std::chrono::nanoseconds timeout) noexcept {
    constexpr nfds_t most = 512; // sources beyond it are still looked at whenever another one wakes us
    std::array<pollfd, most + 1> fds;
    fds[0] = {interrupt_.fd(), POLLIN, 0};
    nfds_t count = 1;
    for (const auto& source : sources_)
        if (count <= most && source->info().fd >= 0)
            fds[count++] = {source->info().fd, POLLIN, 0};
    const auto ns = timeout.count();
    const timespec limit = {ns / 1'000'000'000, ns % 1'000'000'000};
    const int ready = ::ppoll(fds.data(), count, ns < 0 ? nullptr : &limit, nullptr);
    if (ready > 0 && fds[0].revents != 0 && interrupt_.take_readable())
        return Status::interrupted;
    return ready <= 0 ? Status::timeout : Status::ok;
}

Stats Capture::stats() {
    Stats sum = sources_.front()->stats();
    for (std::size_t i = 1; i < sources_.size(); ++i)
        sum += sources_[i]->stats();
    return sum;
}

} // namespace wirepath
