// SPDX-License-Identifier: Apache-2.0
// Batch → kernel: the way out of a host, as source.hpp is the way in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/batch.hpp"
#include "core/copy.hpp"
#include "core/error.hpp"
#include "core/rows.hpp"
#include "core/source.hpp"
#include "core/status.hpp"

namespace wirepath {

struct SendRequest {
    std::string target;                         // an interface's name
    std::map<std::string, std::string> options; // of Engine::send_options
};

struct SenderInfo {
    std::string engine;
    std::string mode; // what was granted, in a few words
    std::vector<Granted> granted;
    std::string interface;
    std::uint32_t ifindex = 0;
    std::uint32_t linktype = 1;     // a LINKTYPE_ number: what frames must begin with
    std::uint32_t mtu = 0;          // bytes behind the link layer's header
    std::uint64_t speed_bps = 0;    // 0: unknown
    std::string mac;                // 6 bytes, empty: it has none
    std::vector<std::string> notes; // what the user should know
};

// See send_stats.def. nullopt: cannot know.
struct SendStats {
#define WIREPATH_SEND_STAT(name, meaning) std::optional<std::uint64_t> name;
#include "core/send_stats.def"
#undef WIREPATH_SEND_STAT
};

// What every sender counts: written by the sending thread, read by any.
struct SendCounters {
    Counter queued, queued_bytes, errors, too_big, retries, waits;
    CopyCount copies;

    void took(std::uint64_t frames, std::uint64_t bytes) noexcept {
        queued.add(frames);
        queued_bytes.add(bytes);
    }
    void refused(bool for_size = false) noexcept {
        errors.add(1);
        too_big.add(for_size ? 1 : 0);
    }
    SendStats read() const noexcept; // all but completed
};

using Deadline = std::chrono::steady_clock::time_point;
constexpr Deadline no_deadline = Deadline::max();

// One transmit queue, one sending thread. Other threads may call interrupt() and stats(), nothing else.
class Sender {
  public:
    virtual ~Sender() = default; // leaves the kernel; what was queued may still go out

    virtual const SenderInfo& info() const noexcept = 0;

    // Hands the rows to the kernel or the device in order, a tag held in metadata put back into the bytes. `done` is
    // how many rows it is through with: each was queued, or counted as an error. ok: all are. timeout: there was no
    // room for the next one until the deadline (one in the past: does not wait). interrupted, gone, error: as for a
    // Source. Whatever it was, the rest can be tried again.
    // Where frames are sent from the batch's own memory, the sender keeps the batch's lease until they are completed.
    virtual Status send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept = 0;
    // Waits until everything queued is completed, as far as this engine can know.
    virtual Status drain(Deadline deadline) noexcept = 0;
    // Ends a send() or drain() under way, or the next one, at once. From any thread or signal handler.
    virtual void interrupt() noexcept = 0;

    virtual SendStats stats() = 0;
    // After Status::error or gone.
    virtual Error fault() const = 0;
};

// Bytes of a packet once its tag is back in its place.
inline std::uint32_t bytes_to_send(const Packet& packet) noexcept {
    return static_cast<std::uint32_t>(packet.data.size()) + (packet.vlan_tpid != 0 ? 4 : 0);
}
// Writes those; `to` has room for them.
void write_frame(std::byte* to, const Packet& packet, CopyCount& count) noexcept;
// The four bytes of a tag as they stand on the wire.
struct WireTag {
    std::uint8_t bytes[4];
};
WireTag wire_tag(const Packet& packet) noexcept;

// Which frames an interface can carry.
class FrameLimit {
  public:
    enum class Verdict { fits, too_short, too_big };
    FrameLimit() noexcept = default;
    FrameLimit(std::uint32_t linktype, std::uint32_t mtu) noexcept;
    // A VLAN tag does not count: the kernel lets a tagged frame be four bytes longer.
    Verdict judge(const Packet& packet) const noexcept;
    std::uint32_t most_bytes() const noexcept { return most_ + 4; } // of any frame

  private:
    std::uint32_t header_ = 0, most_ = UINT32_MAX - 4;
};

} // namespace wirepath
