// SPDX-License-Identifier: Apache-2.0
#include "files/output.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace wirepath::files {
namespace {

constexpr std::size_t buffer_bytes = 256 * 1024;
constexpr std::size_t least_record = 16;
// Less than this is flushed as a part of a compressed stream, more as a complete one: what a full disk costs of a
// compressed file is what came since the last complete one.
constexpr std::uint64_t least_member_bytes = 64 * 1024;

Fd open_output(const std::string& path) {
    if (path == "-" && ::isatty(STDOUT_FILENO) != 0)
        throw Error(Code::refused, "writing packets to standard output, which is a terminal", 0,
                    "Redirect it: > FILE, or | PROGRAM");
    Fd fd(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                      : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd)
        throw Error::from_errno("creating " + path, errno, errno == EACCES ? "This user may not write there" : "");
    return fd;
}

void wait_until_writable(int fd) noexcept {
    pollfd one = {fd, POLLOUT, 0};
    ::poll(&one, 1, -1);
}

} // namespace

Output::Output(std::string path, Compression compression, int level)
    : path_(std::move(path)), fd_(open_output(path_)), compressor_(compressor_for(compression, level)),
      buffer_(buffer_bytes) {
    marks_.reserve(buffer_bytes / least_record);
    struct stat status = {};
    regular_ = ::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode);
    if (regular_) // standard output may be >> FILE, or stand behind what another program wrote
        file_end_ = buffer_begin_ = member_end_ = static_cast<std::uint64_t>(
            (::fcntl(fd_.get(), F_GETFL) & O_APPEND) != 0 ? status.st_size : ::lseek(fd_.get(), 0, SEEK_CUR));
}

bool Output::make_room(std::size_t bytes) noexcept {
    if (status_ != Status::ok || pass_on(Compressor::Mode::finish) != Status::ok)
        return false;
    if (bytes <= buffer_.size())
        return true;
    try {
        buffer_.resize(bytes);
        return true;
    } catch (const std::bad_alloc&) {
        fault_.emplace(Code::system, "writing a record of " + std::to_string(bytes) + " bytes to " + path_, ENOMEM);
        status_ = Status::error;
        return false;
    }
}

Status Output::flush() noexcept {
    return status_ != Status::ok || flushed() ? status_ : pass_on(Compressor::Mode::flush);
}

Status Output::finish() noexcept {
    const bool complete = taken_.bytes != 0 && taken_.bytes == at_member_.bytes;
    if (status_ == Status::ok && !complete)
        pass_on(Compressor::Mode::finish);
    const int fd = fd_.release();
    if (fd >= 0 && ::close(fd) != 0 && errno != EINTR && status_ == Status::ok) {
        fault_ = Error::from_errno("closing " + path_, errno);
        status_ = fault_->code() == Code::no_space ? Status::no_space : Status::error;
    }
    return status_;
}

Status Output::pass_on(Compressor::Mode mode) noexcept {
    try {
        pass_on_or_throw(mode);
    } catch (const Error& error) {
        fault_ = error;
        status_ = error.code() == Code::no_space ? Status::no_space : Status::error;
        cut_back();
    } catch (const std::bad_alloc&) {
        fault_.emplace(Code::system, "writing to " + path_, ENOMEM);
        status_ = Status::error;
        cut_back();
    }
    return status_;
}

void Output::pass_on_or_throw(Compressor::Mode mode) {
    if (!compressor_) {
        write_all(std::span(buffer_).first(used_));
        written_ = taken_;
    } else {
        // The first is complete, however small, so that whatever happens something can be read.
        if (at_member_.bytes == 0 || taken_.bytes - at_member_.bytes >= least_member_bytes)
            mode = Compressor::Mode::finish;
        compressed_.clear();
        compressor_->run(std::span(buffer_).first(used_), mode, compressed_);
        write_all(compressed_);
        written_ = taken_;
        if (mode == Compressor::Mode::finish) {
            at_member_ = taken_;
            member_end_ = file_end_;
        }
    }
    used_ = 0;
    marks_.clear();
    buffer_begin_ = file_end_;
}

void Output::write_all(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(fd_.get(), bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN) {
            wait_until_writable(fd_.get());
            continue;
        }
        if (size < 0)
            throw Error::from_errno("writing to " + path_, errno,
                                    errno == ENOSPC || errno == EDQUOT ? "What was written before is whole and readable"
                                                                       : "");
        file_end_ += static_cast<std::uint64_t>(size);
        bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
}

// After a failed write: the file ends with the last record that is whole.
void Output::cut_back() noexcept {
    std::uint64_t end = member_end_;
    if (compressor_)
        written_ = at_member_;
    else
        end = buffer_begin_ + whole_records(file_end_ - buffer_begin_);
    taken_ = written_;
    used_ = 0;
    marks_.clear();
    if (regular_ && ::ftruncate(fd_.get(), static_cast<off_t>(end)) == 0)
        file_end_ = end;
}

// Of the records in the buffer, those that so many bytes hold are written.
std::size_t Output::whole_records(std::uint64_t bytes) noexcept {
    std::size_t end = 0;
    for (const Mark& mark : marks_) {
        if (mark.end > bytes)
            break;
        written_.bytes += mark.end - end;
        written_.packets += mark.is_packet;
        end = mark.end;
    }
    return end;
}

} // namespace wirepath::files
