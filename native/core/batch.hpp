// SPDX-License-Identifier: Apache-2.0
// What one receive() delivered: header columns of equal length in our own memory, and a lease on the payload.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "core/annotations.hpp"
#include "core/lease.hpp"
#include "core/packet.hpp"

namespace wirepath {

// Columns that only some sources have, of 32 bits each. A batch without one does not know it.
enum class Extra : std::uint8_t {
    mark,  // what the user's program said of the packet
    pid,   // the process that sent it, or that it is for; 0: unknown
    hook,  // where in the kernel it was captured: 1 XDP, 2 tc
    netns, // the network namespace of that process's socket: its inode number; 0: unknown
};
constexpr std::size_t extra_count = 4;
constexpr std::uint8_t extra_bit(Extra which) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(which));
}

// The memory of a batch's columns. Shared with the views that Python holds: recycled only when no view is left, so what
// a user keeps never changes under their hands.
class Columns {
  public:
    class Ref {
      public:
        Ref() noexcept = default;
        explicit Ref(std::uint32_t capacity) : columns_(new Columns(capacity)) {}
        Ref(const Ref& other) noexcept : columns_(other.columns_) {
            if (columns_ != nullptr)
                columns_->refs_.fetch_add(1, std::memory_order_relaxed);
        }
        Ref(Ref&& other) noexcept : columns_(std::exchange(other.columns_, nullptr)) {}
        Ref& operator=(Ref other) noexcept {
            std::swap(columns_, other.columns_);
            return *this;
        }
        ~Ref() {
            if (columns_ != nullptr && columns_->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
                delete columns_;
        }
        Columns* operator->() const noexcept { return columns_; }
        bool shared() const noexcept { return columns_->refs_.load(std::memory_order_acquire) > 1; }

      private:
        Columns* columns_ = nullptr;
    };

    const std::uint32_t capacity;
    std::unique_ptr<std::int64_t[]> ts;
    std::unique_ptr<std::uint64_t[]> offset;
    std::unique_ptr<std::uint32_t[]> caplen, origlen;
    std::unique_ptr<std::uint16_t[]> interface, queue, vlan_tci, vlan_tpid, flags;
    std::array<std::unique_ptr<std::uint32_t[]>, extra_count> extra; // made when a source first has one

  private:
    explicit Columns(std::uint32_t capacity);
    std::atomic<std::uint32_t> refs_{1};
};

class Batch {
  public:
    static constexpr std::uint32_t default_capacity = 4096;

    explicit Batch(std::uint32_t capacity = default_capacity); // rows at the most; throws std::bad_alloc
    Batch(Batch&&) noexcept = default;
    Batch& operator=(Batch&&) noexcept = default;

    // Engines: first begin(), then push() up to capacity() rows whose data lies in [base, base + bytes). extras: the
    // columns beside the usual ones (extra_bit), that are to be set for each row.
    void begin(const std::byte* base, std::size_t bytes, Lease lease, std::uint8_t extras = 0) noexcept;
    void push(const Packet& packet) noexcept;
    void set_extra(Extra which, std::uint32_t row, std::uint32_t value) noexcept {
        columns_->extra[static_cast<std::size_t>(which)][row] = value;
    }
    // Filters: only these rows stay. They ascend.
    void keep(std::span<const std::uint32_t> rows) noexcept;
    // The payload's memory goes back to its source; the columns stay.
    void release_payload() noexcept;
    // That, and the batch is empty.
    void release() noexcept;

    std::uint32_t size() const noexcept { return size_; }
    std::uint32_t capacity() const noexcept { return columns_->capacity; }
    bool empty() const noexcept { return size_ == 0; }
    bool full() const noexcept { return size_ == capacity(); }

    Packet operator[](std::uint32_t row) const noexcept;
    std::span<const std::byte> data(std::uint32_t row) const noexcept {
        return {base_ + columns_->offset[row], columns_->caplen[row]};
    }

    std::uint8_t extras() const noexcept { return extras_; }
    bool has(Extra which) const noexcept { return (extras_ & extra_bit(which)) != 0; }
    std::uint32_t extra(Extra which, std::uint32_t row) const noexcept {
        return columns_->extra[static_cast<std::size_t>(which)][row];
    }
    // Of a row of another batch with the same extras.
    void copy_extras(const Batch& from, std::uint32_t from_row, std::uint32_t row) noexcept;

    const Columns::Ref& columns() const noexcept { return columns_; }
    const Lease& lease() const noexcept { return lease_; }
    std::span<const std::byte> base() const noexcept { return {base_, base_bytes_}; }

    // What a file says beside its packets; engines for interfaces leave it empty.
    Annotations& annotations() noexcept { return annotations_; }
    const Annotations& annotations() const noexcept { return annotations_; }

  private:
    Columns::Ref columns_;
    std::uint32_t size_ = 0;
    std::uint8_t extras_ = 0;
    const std::byte* base_ = nullptr;
    std::size_t base_bytes_ = 0;
    Lease lease_;
    Annotations annotations_;
};

inline void Batch::push(const Packet& packet) noexcept {
    const std::uint32_t row = size_++;
    Columns& to = *columns_.operator->();
    to.ts[row] = packet.ts;
    to.offset[row] = static_cast<std::uint64_t>(packet.data.data() - base_);
    to.caplen[row] = static_cast<std::uint32_t>(packet.data.size());
    to.origlen[row] = packet.origlen;
    to.interface[row] = packet.interface;
    to.queue[row] = packet.queue;
    to.vlan_tci[row] = packet.vlan_tci;
    to.vlan_tpid[row] = packet.vlan_tpid;
    to.flags[row] = packet.flags;
}

inline Packet Batch::operator[](std::uint32_t row) const noexcept {
    const Columns& c = *columns_.operator->();
    return {data(row),    c.origlen[row],  c.ts[row],        c.interface[row],
            c.queue[row], c.vlan_tci[row], c.vlan_tpid[row], c.flags[row]};
}

} // namespace wirepath
