// SPDX-License-Identifier: Apache-2.0
#include "engines/tpacket_v3/transmit_ring.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "core/error.hpp"
#include "linux/memory.hpp"

namespace wirepath::tpacket_v3 {
namespace {

constexpr std::uint32_t block_bytes = 1U << 16;    // at least: a block is contiguous memory of the kernel's
constexpr std::uint32_t moderate_bytes = 8U << 20; // of a ring for whose size nobody asked
constexpr std::uint32_t moderate_frames = 1024;

} // namespace

TransmitRing::TransmitRing(TransmitSocket& socket, std::uint32_t longest, std::uint32_t asked)
    : frame_bytes_(std::bit_ceil(longest + data_offset)),
      frames_(asked != 0 ? std::bit_ceil(asked) : std::clamp(moderate_bytes / frame_bytes_, 16U, moderate_frames)) {
    tpacket_req3 request{};
    request.tp_frame_size = frame_bytes_;
    request.tp_block_size = std::max(block_bytes, frame_bytes_);
    frames_ = std::max(frames_, request.tp_block_size / frame_bytes_);
    request.tp_frame_nr = frames_;
    request.tp_block_nr = static_cast<unsigned>(std::uint64_t{frames_} * frame_bytes_ / request.tp_block_size);
    const std::size_t bytes = std::size_t{frames_} * frame_bytes_;
    check_ring_memory(bytes, "ring_size");
    socket.set(PACKET_VERSION, TPACKET_V3, "asking for a ring of version 3");
    if (::setsockopt(socket.fd(), SOL_PACKET, PACKET_TX_RING, &request, sizeof request) != 0)
        throw Error::from_errno("making a ring to send from on " + socket.device().name, errno,
                                errno == EINVAL ? "Linux 4.11 or later is needed" : "Use a smaller ring_size");
    memory_ = Mapping::of_fd(socket.fd(), bytes);
    memory_.keep_from_children();
}

void TransmitRing::write(const Packet& packet, CopyCount& copies) noexcept {
    const std::uint32_t number = written_++;
    tpacket3_hdr& into = header(number);
    into.tp_next_offset = 0;
    into.tp_len = bytes_to_send(packet);
    into.tp_snaplen = into.tp_len;
    write_frame(at(number) + data_offset, packet, copies);
    set_status(number, TP_STATUS_SEND_REQUEST);
}

std::uint32_t TransmitRing::take(std::uint64_t& bytes) noexcept {
    const std::uint32_t before = taken_;
    for (; taken_ != written_; ++taken_) {
        const std::uint32_t now = status(taken_);
        if (now == TP_STATUS_SEND_REQUEST || (now & TP_STATUS_WRONG_FORMAT) != 0)
            break;
        bytes += header(taken_).tp_len;
    }
    return taken_ - before;
}

std::uint32_t TransmitRing::complete() noexcept {
    const std::uint32_t before = completed_;
    while (completed_ != taken_ && (status(completed_) & (TP_STATUS_SENDING | TP_STATUS_SEND_REQUEST)) == 0)
        ++completed_;
    return completed_ - before;
}

bool TransmitRing::rejected() const noexcept {
    return waiting() != 0 && (status(taken_) & TP_STATUS_WRONG_FORMAT) != 0;
}

// The kernel goes on where it stopped, so those behind move up.
void TransmitRing::drop_first() noexcept {
    for (std::uint32_t number = taken_; number + 1 != written_; ++number) {
        tpacket3_hdr& into = header(number);
        into.tp_len = header(number + 1).tp_len;
        into.tp_snaplen = into.tp_len;
        std::memcpy(at(number) + data_offset, at(number + 1) + data_offset, into.tp_len);
        set_status(number, TP_STATUS_SEND_REQUEST);
    }
    set_status(--written_, TP_STATUS_AVAILABLE);
}

void TransmitRing::take_back() noexcept {
    while (written_ != taken_)
        set_status(--written_, TP_STATUS_AVAILABLE);
}

} // namespace wirepath::tpacket_v3
