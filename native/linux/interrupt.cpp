// SPDX-License-Identifier: Apache-2.0
#include "linux/interrupt.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>

#include "core/error.hpp"

namespace wirepath {

Interrupt::Interrupt() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_)
        throw Error::from_errno("making an eventfd", errno);
}

void Interrupt::raise() noexcept {
    const int saved = errno; // a signal handler must leave it alone
    raised_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);
    errno = saved;
}

bool Interrupt::take() noexcept { return raised_.load(std::memory_order_relaxed) && take_readable(); }

bool Interrupt::take_readable() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto read = ::read(event_.get(), &count, sizeof count);
    return raised_.exchange(false, std::memory_order_acq_rel);
}

Status Interrupt::wait(int fd, std::chrono::nanoseconds timeout, short& revents, short events) noexcept {
    pollfd fds[2] = {{event_.get(), POLLIN, 0}, {fd, events, 0}};
    const auto count = timeout.count();
    const timespec limit = {count / 1'000'000'000, count % 1'000'000'000};
    const int ready = ::ppoll(fds, fd < 0 ? 1 : 2, count < 0 ? nullptr : &limit, nullptr);
    revents = fds[1].revents;
    if (ready <= 0)
        return ready == 0 || errno == EINTR ? Status::timeout : Status::error;
    if (fds[0].revents != 0 && take_readable())
        return Status::interrupted;
    return revents != 0 ? Status::ok : Status::timeout;
}

Status Interrupt::pause(std::chrono::nanoseconds time) noexcept {
    short nothing = 0;
    return wait(-1, time, nothing);
}

} // namespace wirepath
