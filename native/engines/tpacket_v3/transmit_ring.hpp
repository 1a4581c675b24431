// SPDX-License-Identifier: Apache-2.0
// A ring of frames that this process fills and the kernel sends from (Linux: networking/packet_mmap.rst). The kernel
// looks at it in send(2) only, so that what it has not taken yet can be taken back.
#pragma once

#include <atomic>
#include <cstdint>
#include <linux/if_packet.h>

#include "core/copy.hpp"
#include "core/sender.hpp"
#include "linux/mapping.hpp"
#include "linux/transmit_socket.hpp"

namespace wirepath::tpacket_v3 {

class TransmitRing {
  public:
    // For frames of up to `longest` bytes; `asked` of them, 0: as many as a moderate ring has. Throws Error.
    TransmitRing(TransmitSocket& socket, std::uint32_t longest, std::uint32_t asked);

    std::uint32_t frames() const noexcept { return frames_; }
    std::uint32_t longest() const noexcept { return frame_bytes_ - data_offset; }
    std::uint32_t waiting() const noexcept { return written_ - taken_; } // for the kernel to take them
    std::uint32_t under_way() const noexcept { return taken_ - completed_; }
    bool full() const noexcept { return written_ - completed_ == frames_; }

    void write(const Packet& packet, CopyCount& copies) noexcept; // into a ring that is not full
    // Frames that the kernel has taken since the last call, and their bytes.
    std::uint32_t take(std::uint64_t& bytes) noexcept;
    // Frames that it has completed since the last call.
    std::uint32_t complete() noexcept;
    bool rejected() const noexcept; // the first that waits: TP_STATUS_WRONG_FORMAT
    void drop_first() noexcept;     // of those that wait
    void take_back() noexcept;      // all that wait

  private:
    static constexpr std::uint32_t data_offset = TPACKET_ALIGN(sizeof(tpacket3_hdr));

    std::byte* at(std::uint32_t number) const noexcept {
        return static_cast<std::byte*>(memory_.data()) + std::size_t{number & (frames_ - 1)} * frame_bytes_;
    }
    tpacket3_hdr& header(std::uint32_t number) const noexcept { return *reinterpret_cast<tpacket3_hdr*>(at(number)); }
    std::uint32_t status(std::uint32_t number) const noexcept {
        return std::atomic_ref(header(number).tp_status).load(std::memory_order_acquire);
    }
    void set_status(std::uint32_t number, std::uint32_t status) noexcept {
        std::atomic_ref(header(number).tp_status).store(status, std::memory_order_release);
    }

    std::uint32_t frame_bytes_, frames_; // powers of two
    Mapping memory_;
    std::uint32_t written_ = 0, taken_ = 0, completed_ = 0; // they count on; their differences are what matters
};

} // namespace wirepath::tpacket_v3
