// SPDX-License-Identifier: Apache-2.0
#include "files/input.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace wirepath::files {
namespace {

constexpr std::size_t raw_bytes = 128 * 1024;
constexpr auto longest_nap = std::chrono::milliseconds(100); // inotify says nothing of changes made on another host

Fd open_input(const std::string& path) {
    // O_NONBLOCK: a FIFO that no one writes to yet is opened at once; its reads wait in poll.
    Fd fd(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                      : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd)
        throw Error::from_errno("opening " + path, errno,
                                errno == EACCES ? "The file's permissions do not let this user read it" : "");
    return fd;
}

} // namespace

Input::Input(std::string path, bool follow, Interrupt& interrupt)
    : path_(std::move(path)), fd_(open_input(path_)), interrupt_(interrupt) {
    struct stat status = {};
    if (::fstat(fd_.get(), &status) != 0)
        throw Error::from_errno("looking at " + path_, errno);
    if (S_ISDIR(status.st_mode))
        throw Error(Code::bad_file, "opening " + path_, EISDIR);
    regular_ = S_ISREG(status.st_mode);
    follow_ = follow && regular_; // a stream says itself when it ends
    if (regular_)
        ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    if (follow_)
        watch();
}

void Input::watch() {
    changes_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    if (changes_ && ::inotify_add_watch(changes_.get(), self.c_str(), IN_MODIFY | IN_CLOSE_WRITE) < 0)
        changes_.reset(); // longest_nap is the fallback
}

Status Input::read(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout) noexcept {
    got = 0;
    try {
        if (!recognised_)
            if (const Status status = recognise(timeout); status != Status::ok)
                return status;
        return decompressor_ ? decompress(to, got, timeout) : read_plain(to, got, timeout);
    } catch (const Error& error) {
        return fail(error);
    } catch (const std::bad_alloc&) {
        return fail(Error(Code::system, "reading " + path_, ENOMEM));
    }
}

// The first bytes say whether the file is compressed. They are read once and handed over like any others.
Status Input::recognise(std::chrono::nanoseconds timeout) {
    raw_.resize(raw_bytes);
    while (raw_size_ < compression_magic_bytes) {
        std::size_t got = 0;
        const Status status = read_fd(std::span(raw_).first(compression_magic_bytes).subspan(raw_size_), got, timeout);
        if (status == Status::end_of_file && !follow_)
            break; // too short to be anything: whoever reads it will say so
        if (status != Status::ok)
            return status;
        raw_size_ += got;
    }
    decompressor_ = decompressor_for(std::span(raw_).first(raw_size_));
    recognised_ = true;
    return Status::ok;
}

Status Input::read_plain(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout) {
    if (raw_used_ == raw_size_)
        return read_fd(to, got, timeout);
    got = std::min(to.size(), raw_size_ - raw_used_);
    std::memcpy(to.data(), raw_.data() + raw_used_, got);
    raw_used_ += got;
    return Status::ok;
}

Status Input::decompress(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout) {
    for (;;) {
        std::span<const std::byte> from = std::span(raw_).subspan(raw_used_, raw_size_ - raw_used_);
        std::span<std::byte> room = to;
        try {
            decompressor_->run(from, room);
        } catch (const Error& error) {
            throw Error(error.code(), "reading " + path_ + ": " + error.doing());
        }
        raw_used_ = raw_size_ - from.size();
        got = to.size() - room.size();
        if (got != 0)
            return Status::ok;
        std::size_t more = 0;
        const Status status = read_fd(raw_, more, timeout);
        if (status == Status::end_of_file && !decompressor_->complete())
            throw Error(Code::bad_file, "reading " + path_ + ": the compressed data ends at byte " +
                                            std::to_string(position_) + " before its end mark");
        if (status != Status::ok)
            return status;
        raw_used_ = 0;
        raw_size_ = more;
    }
}

Status Input::read_fd(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
        short revents = 0;
        if (!regular_) {
            waits_.add(1);
            const Status status = interrupt_.wait(fd_.get(), timeout, revents);
            if (status != Status::ok)
                return status;
        }
        const ssize_t size = ::read(fd_.get(), to.data(), to.size());
        if (size > 0) {
            got = static_cast<std::size_t>(size);
            position_ += got;
            return Status::ok;
        }
        if (size < 0 && (errno == EINTR || errno == EAGAIN))
            return Status::timeout; // the caller asks again
        if (size < 0)
            throw Error::from_errno("reading " + path_, errno);
        if (!follow_)
            return Status::end_of_file;
        const auto left = timeout.count() < 0 ? timeout : timeout - (std::chrono::steady_clock::now() - start);
        if (timeout.count() >= 0 && left.count() <= 0)
            return Status::timeout;
        if (const Status status = wait_for_growth(left); status != Status::ok)
            return status;
    }
}

// ok: there may be more to read. timeout: a signal ended the wait.
Status Input::wait_for_growth(std::chrono::nanoseconds timeout) {
    struct stat status = {};
    if (::fstat(fd_.get(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) < position_)
        throw Error(Code::bad_file, "following " + path_ + ": it was cut to " + std::to_string(status.st_size) +
                                        " bytes after " + std::to_string(position_) + " had been read");
    const std::chrono::nanoseconds nap =
        timeout.count() < 0 ? longest_nap : std::min<std::chrono::nanoseconds>(timeout, longest_nap);
    short revents = 0;
    waits_.add(1);
    const auto start = std::chrono::steady_clock::now();
    const Status waited = interrupt_.wait(changes_.get(), nap, revents);
    if (waited == Status::timeout)
        return std::chrono::steady_clock::now() - start < nap ? Status::timeout : Status::ok;
    if (waited == Status::ok) {
        char events[4096];
        while (::read(changes_.get(), events, sizeof events) > 0) {
        }
    }
    return waited;
}

Status Input::fail(Error error) noexcept {
    fault_ = std::move(error);
    return Status::error;
}

} // namespace wirepath::files
