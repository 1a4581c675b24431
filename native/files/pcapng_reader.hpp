// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "files/format.hpp"
#include "files/pcapng_format.hpp"

namespace wirepath::files {

// How an interface's timestamps are counted (if_tsresol and if_tsoffset), and how they become ns.
class TimeUnit {
  public:
    TimeUnit() noexcept = default; // microseconds
    TimeUnit(std::uint8_t tsresol, std::int64_t offset_s) noexcept;

    // Times that 64 bits of ns cannot hold become the nearest that they can.
    std::int64_t ns(std::uint64_t units) const noexcept {
        if (units <= simple_limit_) [[likely]]
            return static_cast<std::int64_t>(units * multiply_) + simple_offset_ns_;
        return ns_slowly(units);
    }

  private:
    std::int64_t ns_slowly(std::uint64_t units) const noexcept;

    // ns = units * multiply / divide >> shift, plus the offset
    std::uint64_t multiply_ = 1000, divide_ = 1;
    int shift_ = 0;
    std::int64_t offset_s_ = 0;
    // Up to here a multiplication and an addition in 64 bits are enough.
    std::uint64_t simple_limit_ = (UINT64_MAX >> 2) / 1000;
    std::int64_t simple_offset_ns_ = 0;
};

class PcapngReader final : public Format {
  public:
    explicit PcapngReader(FormatSettings settings);
    Step read(Chunk& chunk, Batch& into, Until until) noexcept override;

  private:
    struct Block {
        std::uint32_t type = 0;
        std::uint64_t offset = 0; // of its first byte in the file
        std::span<const std::byte> body;
    };
    struct SectionInterface {
        std::uint16_t row; // of the capture's interface table
        std::uint32_t snaplen;
        TimeUnit unit;
    };
    // How one block went; nullopt: well, go on with the next.
    using Next = std::optional<Step>;

    Step read_blocks(Chunk& chunk, Batch& into, Until until);
    template <bool Swap>
    Next read_packets(Chunk& chunk, Batch& into, Until until);
    template <bool Swap>
    bool push_enhanced(const Chunk& chunk, std::uint32_t length, Batch& into);
    Next find_block(const Chunk& chunk, Block& block);
    Next check_length(const Chunk& chunk, std::uint32_t length, std::size_t least);
    bool understand(const Block& block, Batch& into);

    bool read_section(const Block& block, Batch& into);
    bool read_interface(const Block& block, Batch& into);
    bool read_interface_options(const Block& block, Interface& interface, SectionInterface& here);
    bool read_statistics(const Block& block, Batch& into);
    bool read_simple(const Block& block, Batch& into);
    bool read_obsolete(const Block& block, Batch& into);
    bool keep_block(const Block& block, Batch& into);
    bool read_packet_options(std::span<const std::byte> options, std::uint64_t end, Packet& packet, Batch& into);
    bool known_interface(std::uint64_t offset, std::uint32_t id);
    bool whole(const pcapng::OptionReader& options, std::uint64_t end);
    bool fail(std::uint64_t offset, const std::string& what) {
        bad(offset, what);
        return false;
    }
    std::uint32_t number(const Block& block, std::size_t at) const noexcept {
        return load<std::uint32_t>(block.body.data() + at, swap_);
    }

    bool swap_ = false;
    std::vector<SectionInterface> interfaces_; // of this section
};

} // namespace wirepath::files
