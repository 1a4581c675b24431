// SPDX-License-Identifier: Apache-2.0
// Where encoded records go: a buffer, then perhaps a compressor, then a file or a stream. What reaches the file is
// always whole records, and how many packets they are is known, also after the disk has filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/status.hpp"
#include "linux/fd.hpp"

namespace wirepath::files {

enum class Compression : std::uint8_t { none, gzip, zstd };

class Compressor {
  public:
    enum class Mode : std::uint8_t {
        flush,  // all that was given can be decompressed
        finish, // and is a stream that is complete; what follows begins another
    };
    virtual ~Compressor() = default;
    virtual void run(std::span<const std::byte> from, Mode mode, std::vector<std::byte>& append_to) = 0; // throws Error
};

// level 0: the format's usual one. nullptr for none. Throws Error.
std::unique_ptr<Compressor> compressor_for(Compression compression, int level);

class Output {
  public:
    struct Progress {
        std::uint64_t packets = 0, bytes = 0; // bytes: of records, before compression
    };

    // path "-": standard output. Throws Error; refuses a terminal.
    Output(std::string path, Compression compression, int level);

    // Room for one record of so many bytes, to be filled and then committed; nullptr: see status().
    std::byte* reserve(std::size_t bytes) noexcept {
        if (buffer_.size() - used_ >= bytes && marks_.size() < marks_.capacity()) [[likely]]
            return buffer_.data() + used_;
        return make_room(bytes) ? buffer_.data() + used_ : nullptr;
    }
    void commit(std::size_t bytes, bool is_packet) noexcept {
        used_ += bytes;
        taken_.bytes += bytes;
        taken_.packets += is_packet;
        marks_.push_back({static_cast<std::uint32_t>(used_), is_packet}); // has the capacity: reserve() saw to it
    }

    Status flush() noexcept;  // what was taken can be read by others
    Status finish() noexcept; // and the file is complete; closes it
    Status status() const noexcept { return status_; }
    const Error& fault() const noexcept { return *fault_; }

    const Progress& taken() const noexcept { return taken_; }
    const Progress& written() const noexcept { return written_; } // of it, what is in the file for good
    bool flushed() const noexcept { return written_.bytes == taken_.bytes; }
    bool regular() const noexcept { return regular_; }
    int fd() const noexcept { return fd_.get(); }
    const std::string& path() const noexcept { return path_; }

  private:
    struct Mark { // where a record ends in the buffer
        std::uint32_t end;
        bool is_packet;
    };
    bool make_room(std::size_t bytes) noexcept;
    Status pass_on(Compressor::Mode mode) noexcept;
    void pass_on_or_throw(Compressor::Mode mode);
    void write_all(std::span<const std::byte> bytes);
    void cut_back() noexcept;
    std::size_t whole_records(std::uint64_t bytes) noexcept;

    std::string path_;
    Fd fd_;
    bool regular_ = false;
    std::unique_ptr<Compressor> compressor_;
    std::vector<std::byte> buffer_, compressed_;
    std::vector<Mark> marks_;
    std::size_t used_ = 0;
    Progress taken_, written_;
    Progress at_member_;             // compressed: at the end of the last complete stream,
    std::uint64_t member_end_ = 0;   // and where that is in the file
    std::uint64_t file_end_ = 0;     // so many bytes were written
    std::uint64_t buffer_begin_ = 0; // in the file, if it is not compressed
    Status status_ = Status::ok;
    std::optional<Error> fault_;
};

} // namespace wirepath::files
