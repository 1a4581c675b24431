// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <utility>

#include "files/encoder.hpp"

namespace wirepath::files {

// What a file that begins with no section of its own says of itself.
struct SectionTexts {
    std::string hardware, os, application;
    std::vector<std::string> comments;
};

// This host's, and this program's.
SectionTexts section_texts_of_host();

class PcapngEncoder final : public Encoder {
  public:
    // live: the interfaces are this host's, and described when a file begins; else when a file that is read, or its
    // first packet, brings them.
    PcapngEncoder(std::shared_ptr<InterfaceTable> interfaces, const SectionTexts& texts, bool live);

    void begin(Output& to) override;
    std::uint32_t write(const Batch& batch, Rows rows, const Limits& limits, Output& to) override;
    void end(Output& to, const std::vector<std::optional<Stats>>& statistics) override;

  private:
    struct Described { // an interface of this section, by row of the interface table
        std::uint32_t id = UINT32_MAX;
        std::uint32_t linktype = 0, snaplen = 0;
    };
    struct PacketOptions {
        std::string bytes; // as they are to stand in the file
        bool has_flags = false, has_queue = false;
    };

    bool write_section(Output& to);
    bool describe(std::uint16_t interface, Output& to);
    bool described(std::uint16_t interface, Output& to) {
        return (interface < described_.size() && described_[interface].id != UINT32_MAX) || describe(interface, to);
    }
    bool write_annotation(const Batch& batch, const Annotation& item, Output& to);
    bool write_block(std::uint32_t type, std::span<const std::byte> body, bool swapped, Output& to);
    bool write_kept_statistics(std::span<const std::byte> body, Output& to);
    bool write_statistics(std::uint16_t interface, const Stats& stats, Output& to);
    void gather_process(const Batch& batch, std::uint32_t row);
    void gather_option(const Annotation& item, std::span<const std::byte> value);
    bool write_packet(const Packet& packet, Output& to);
    bool write_simple(const Body& body, Output& to);
    std::byte* reserve_block(std::uint32_t type, std::size_t length, Output& to) const noexcept;

    const bool live_;
    std::string section_options_;
    bool swap_ = false; // the section is in the byte order that this machine does not have
    bool in_section_ = false;
    bool several_queues_ = false;
    std::vector<Described> described_;
    std::vector<std::uint16_t> order_; // of the section's interfaces
    PacketOptions options_;            // of the packet that comes next
    // Of the batch under way, by process and network namespace: a process id may mean another one later.
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> process_comments_;
};

} // namespace wirepath::files
