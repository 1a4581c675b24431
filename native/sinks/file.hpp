// SPDX-License-Identifier: Apache-2.0
// Batches into capture files.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/sink.hpp"
#include "files/encoder.hpp"
#include "files/output.hpp"
#include "files/pcapng_encoder.hpp"
#include "linux/fork_guard.hpp"
#include "sinks/file_names.hpp"

namespace wirepath {

enum class FileFormat : std::uint8_t { pcap, pcapng };

struct FileSinkOptions {
    std::string path;                              // "-": standard output, refused if it is a terminal
    std::optional<FileFormat> format;              // not given: .pcap is pcap, all else pcapng
    std::optional<files::Compression> compression; // not given: .gz is gzip, .zst is zstd, all else none
    int level = 0;                                 // of the compression; 0: its usual one
    bool nanoseconds = true;                       // of pcap; pcapng always has them

    // When what was captured can be read by others. Not given: after a second, and of a pipe after 10 ms.
    std::optional<std::chrono::milliseconds> flush_after;
    bool packet_buffered = false; // at once: with each batch that arrives

    // A new file begins when one of these is reached. 0: never.
    std::uint64_t rotate_bytes = 0; // before compression; the packet that goes beyond it is still in the file
    std::uint64_t rotate_packets = 0;
    std::chrono::nanoseconds rotate_after{0}; // on the wall clock, also when no packet comes
    bool rotate_aligned = false;              // rotate_after: at multiples of it (each full hour), not from the start
    std::uint32_t keep_files = 0;             // older ones are deleted (tcpdump's names: written over); 0: all are kept
    std::uint64_t stop_after_files = 0;       // consume() and idle() say end_of_file when so many are done; 0: never
    FileNaming::Style naming = FileNaming::Style::tcpdump;
    std::string command; // run as `command FILE` for each file that is done, the last one included; not waited for

    std::optional<files::SectionTexts> texts; // of pcapng; not given: this host's
};

// Opens its files under the rights that the process has at that moment: a capture that drops privileges needs a
// directory that its new user may write to (tcpdump keeps CAP_DAC_OVERRIDE for this).
class FileSink final : public Sink {
  public:
    struct File {
        std::string path;
        std::uint64_t packets, bytes; // bytes: before compression
    };

    explicit FileSink(FileSinkOptions options); // throws Error bad_option
    ~FileSink() override;

    void begin(const Info& info) override;
    // end_of_file: stop_after_files is reached, and these rows were not all taken.
    Status consume(const Batch& batch, Rows rows) noexcept override;
    Status idle() noexcept override;
    void interface_ends(std::uint16_t interface, const Stats& stats) override;
    Status end(const Stats& stats) noexcept override;
    Error fault() const override;

    Status flush() noexcept; // now; the thread that consumes

    // From any thread.
    void ask_flush() noexcept { flush_asked_.store(true, std::memory_order_relaxed); } // when it consumes or idles next
    std::uint64_t packets() const noexcept { return packets_.load(std::memory_order_relaxed); } // in files, readable
    std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }     // of them, uncompressed
    std::uint64_t files() const noexcept { return files_begun_.load(std::memory_order_relaxed); }
    std::vector<std::string> take_completed(); // the names of those that were done since the last call, 1000 at most
    std::vector<File> files_kept() const; // those that are done, at most the latest 1000; after end(), the last one too
    const CopyCount* copied() const noexcept { return encoder_ ? &encoder_->copied() : nullptr; }
    std::uint64_t left_out() const noexcept; // comments, options and blocks that the format has no place for

  private:
    using Wall = std::chrono::system_clock;
    using Steady = std::chrono::steady_clock;

    bool rotates() const noexcept {
        return options_.rotate_bytes != 0 || options_.rotate_packets != 0 || options_.rotate_after.count() != 0;
    }
    void make_encoder(const Info& info);
    void open_next(bool by_time);
    Status close_current(bool last);
    Status rotate(bool by_time);
    Status rotate_if_due();
    void plan_rotation(Wall::time_point now, bool first);
    Status flush_if_due();
    Status write(const Batch& batch, Rows rows);
    Status check();
    Status fail(Error error) noexcept;
    void count() noexcept;
    void forget_oldest(std::size_t coming);
    void run_command(const std::string& path);
    void reap() noexcept;

    FileSinkOptions options_;
    FileNames names_;
    ForkGuard fork_guard_;
    std::unique_ptr<files::Encoder> encoder_;
    std::unique_ptr<files::Output> output_;
    std::chrono::nanoseconds flush_after_{0};
    Steady::time_point last_flush_;
    Wall::time_point next_rotation_ = Wall::time_point::max();
    files::Limits limits_;
    bool live_ = false;
    bool stopped_ = false; // stop_after_files is reached
    std::vector<std::optional<Stats>> statistics_;
    std::vector<pid_t> commands_;
    Status status_ = Status::ok;
    std::optional<Error> fault_, command_fault_;

    std::uint64_t packets_before_ = 0, bytes_before_ = 0; // in files that are done
    std::atomic<std::uint64_t> packets_{0}, bytes_{0}, files_begun_{0};
    std::atomic<bool> flush_asked_{false};
    mutable std::mutex mutex_; // guards the next two
    std::deque<File> done_;
    std::deque<std::string> completed_;
};

} // namespace wirepath
