// SPDX-License-Identifier: Apache-2.0
// A capture file as batches. Payload is read once, into a buffer that the batch then leases; only a packet that a
// buffer's end cuts is copied, into the next one.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "core/batch.hpp"
#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "files/format.hpp"
#include "files/input.hpp"
#include "linux/interrupt.hpp"

namespace wirepath::files {

struct ReaderOptions {
    bool follow = false;                   // the end of a regular file is not the end
    std::uint32_t buffers = 1024;          // that views of batches may hold; memory is used only where they do
    std::uint32_t keep_bytes = UINT32_MAX; // of a packet: more are left out, as with a snaplen
    std::shared_ptr<InterfaceTable> interfaces = std::make_shared<InterfaceTable>();
};

class Reader {
  public:
    static constexpr std::size_t buffer_bytes = 256 * 1024; // fits the second-level cache

    // Of a regular file, the header is read here: what is no capture file, is refused. Throws Error.
    Reader(const std::string& path, ReaderOptions options);

    // As Source::receive. A batch may have no rows and yet annotations. What comes before damage is delivered before
    // the error.
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept;
    void interrupt() noexcept { interrupt_.raise(); }
    Interrupt& interruption() noexcept { return interrupt_; }
    const Error& fault() const noexcept { return *fault_; }

    const std::shared_ptr<InterfaceTable>& interfaces() const noexcept { return options_.interfaces; }
    const Facts* facts() const noexcept { return format_ ? &format_->facts() : nullptr; } // nullptr: nothing read yet
    std::string_view compression() const noexcept { return input_.compression(); }
    std::uint64_t waits() const noexcept { return input_.waits(); }
    const CopyCount& copied() const noexcept { return copied_; }
    std::uint64_t position() const noexcept { return chunk_.position(); } // understood so far, after decompression

  private:
    void prime();
    void begin(Batch& into) noexcept;
    Step understand(Batch& into, Until until);
    Status more(std::size_t wanted, std::chrono::nanoseconds timeout);
    Status make_room(std::size_t wanted);
    Status receive_until(Batch& into, std::chrono::nanoseconds timeout);
    Status fail(Error error) noexcept;
    std::string doing() const;
    Error cut_short() const;

    ReaderOptions options_;
    Interrupt interrupt_;
    Input input_;
    std::unique_ptr<Format> format_;
    BufferPool pool_;
    std::optional<BufferPool> large_; // one buffer, for a record that is larger than the others
    BufferPool::Buffer buffer_;       // chunk_ lies in it
    Chunk chunk_;
    Annotations prologue_; // what stood before the first packet
    std::optional<Error> fault_;
    CopyCount copied_;
};

} // namespace wirepath::files
