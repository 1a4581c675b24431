// SPDX-License-Identifier: Apache-2.0
// What a capture file says beside its packets: a packet's options, and blocks that are not packets, each at its place
// among the rows, so that a copy of the file can say it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wirepath {

struct Annotation {
    enum class Kind : std::uint8_t {
        packet_option, // option `type` of packet `row`; bytes: its value
        // pcapng block `type` that stood before packet `row` (row == size(): after the last); bytes: its body. Of an
        // interface description they are the interface's row of the interface table instead, 32 bits; interface
        // statistics begin with such a row, have their times in ns, and are in this machine's byte order.
        block,
        section, // a section began before packet `row`; bytes: its options, as they stood (padded TLVs)
    };
    Kind kind;
    bool swapped; // the bytes are in the other byte order than this machine's
    std::uint32_t row;
    std::uint32_t type;
    std::uint32_t begin, length; // in Annotations::bytes
};

class Annotations {
  public:
    void add(Annotation::Kind kind, std::uint32_t row, std::uint32_t type, std::span<const std::byte> bytes,
             bool swapped);
    std::span<const Annotation> items() const noexcept { return items_; } // rows ascend
    std::span<const std::byte> bytes_of(const Annotation& item) const noexcept {
        return std::span(bytes_).subspan(item.begin, item.length);
    }
    bool empty() const noexcept { return items_.empty(); }
    void keep(std::span<const std::uint32_t> rows) noexcept;
    void clear() noexcept {
        items_.clear();
        bytes_.clear();
    }

  private:
    std::vector<Annotation> items_;
    std::vector<std::byte> bytes_;
};

} // namespace wirepath
