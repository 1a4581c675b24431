// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, a FIFO or standard input, as they come, decompressed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/copy.hpp"
#include "core/error.hpp"
#include "core/status.hpp"
#include "linux/fd.hpp"
#include "linux/interrupt.hpp"

namespace wirepath::files {

// Where compressed bytes become plain ones.
class Decompressor {
  public:
    virtual ~Decompressor() = default;
    // Takes from the front of `from`, puts at the front of `to`; both are cut to what is left of them. Throws Error.
    virtual void run(std::span<const std::byte>& from, std::span<std::byte>& to) = 0;
    // Between two compressed streams, or after the last: a file may end here.
    virtual bool complete() const noexcept = 0;
    virtual std::string_view name() const noexcept = 0;
};

// nullptr: these bytes are not compressed.
std::unique_ptr<Decompressor> decompressor_for(std::span<const std::byte> start);
constexpr std::size_t compression_magic_bytes = 4;

class Input {
  public:
    // path "-": standard input. follow: a regular file's end is not the end, more may be written. Throws Error.
    Input(std::string path, bool follow, Interrupt& interrupt);

    // At least one byte, or a status: end_of_file, timeout, interrupted, error. A timeout below zero waits without end.
    Status read(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout) noexcept;
    const Error& fault() const noexcept { return *fault_; }

    bool regular() const noexcept { return regular_; } // its bytes are there at once
    std::string_view compression() const noexcept { return decompressor_ ? decompressor_->name() : ""; }
    std::uint64_t waits() const noexcept { return waits_.get(); }
    const std::string& path() const noexcept { return path_; }

  private:
    Status recognise(std::chrono::nanoseconds timeout);
    Status read_plain(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout);
    Status decompress(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout);
    Status read_fd(std::span<std::byte> to, std::size_t& got, std::chrono::nanoseconds timeout);
    Status wait_for_growth(std::chrono::nanoseconds timeout);
    void watch();
    Status fail(Error error) noexcept;

    std::string path_;
    Fd fd_, changes_; // changes_: inotify(7), where the file is followed
    Interrupt& interrupt_;
    bool regular_ = false;
    bool follow_ = false;
    bool recognised_ = false;
    std::unique_ptr<Decompressor> decompressor_;
    std::vector<std::byte> raw_; // what was read and is not yet handed over
    std::size_t raw_used_ = 0, raw_size_ = 0;
    Counter waits_;
    std::uint64_t position_ = 0; // in the file as it is stored
    std::optional<Error> fault_;
};

} // namespace wirepath::files
