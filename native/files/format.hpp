// SPDX-License-Identifier: Apache-2.0
// What the reader of one file format does: it understands records in memory, and never reads, waits or copies.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/batch.hpp"
#include "core/error.hpp"
#include "core/interfaces.hpp"

namespace wirepath::files {

// Bytes of a file that are in memory, and how far they have been understood.
struct Chunk {
    const std::byte* data = nullptr;
    std::size_t size = 0;
    std::size_t used = 0;
    std::uint64_t offset = 0; // of data[0] in the file, after decompression

    const std::byte* at() const noexcept { return data + used; }
    std::size_t left() const noexcept { return size - used; }
    std::uint64_t position() const noexcept { return offset + used; }
};

enum class Step {
    full,      // the batch is full
    packet,    // only with Until::first_packet: one comes next
    need_more, // the next record is not whole: needed() bytes of it are wanted
    bad,       // fault() says what
};

enum class Until { batch_full, first_packet };

// What a file says of an interface's packets that were lost or seen (pcapng's interface statistics). nullopt: nothing.
struct InterfaceCounts {
    std::optional<std::uint64_t> start_ts, end_ts, received, dropped_interface, filter_accepted, dropped_os, delivered;
};

// What was seen so far beside the packets.
struct Facts {
    std::string format;  // "pcap", "pcapng"
    std::string variant; // "nanoseconds", "modified"; empty: the plain one
    bool big_endian = false;
    std::uint64_t sections = 0;
    std::uint64_t comments = 0;                          // of sections, interfaces and packets
    std::map<std::uint32_t, std::uint64_t> blocks;       // pcapng: how many of each type, packets' blocks left out
    std::uint64_t unknown_blocks = 0;                    // among them, those whose type this program does not know
    std::map<std::uint16_t, InterfaceCounts> statistics; // by row of the interface table
    std::map<std::string, std::string> section_texts;    // of the first section: "hardware", "os", "application"
    std::vector<std::string> section_comments;
};

struct FormatSettings {
    std::shared_ptr<InterfaceTable> interfaces;
    std::uint32_t keep_bytes = UINT32_MAX; // of a packet: more are left out, as with a snaplen
};

class Format {
  public:
    explicit Format(FormatSettings settings) : settings_(std::move(settings)) {}
    virtual ~Format() = default;

    virtual Step read(Chunk& chunk, Batch& into, Until until) noexcept = 0;

    std::size_t needed() const noexcept { return needed_; }
    const Error& fault() const noexcept { return *fault_; }
    const Facts& facts() const noexcept { return facts_; }

    // No record is larger: what claims to be is damaged.
    static constexpr std::size_t max_record = (std::size_t{128} << 20) + 65536;

  protected:
    Step need(std::size_t bytes) noexcept {
        needed_ = bytes;
        return Step::need_more;
    }
    Step bad(std::uint64_t offset, const std::string& what);

    FormatSettings settings_;
    Facts facts_;

  private:
    std::size_t needed_ = 1;
    std::optional<Error> fault_;
};

// The reader for what begins with these bytes (format_magic_bytes of them at least). Throws Error bad_file.
constexpr std::size_t format_magic_bytes = 4;
std::unique_ptr<Format> recognise(const std::byte* start, FormatSettings settings);

} // namespace wirepath::files
