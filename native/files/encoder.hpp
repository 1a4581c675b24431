// SPDX-License-Identifier: Apache-2.0
// What the writer of one file format does: rows of a batch become records in an Output.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/batch.hpp"
#include "core/copy.hpp"
#include "core/interfaces.hpp"
#include "core/sink.hpp"
#include "files/output.hpp"

namespace wirepath::files {

// A new file begins once one of these is reached, but not before its first packet.
struct Limits {
    std::uint64_t bytes = UINT64_MAX, packets = UINT64_MAX;
    bool reached(const Output::Progress& taken) const noexcept {
        return taken.packets != 0 && (taken.bytes >= bytes || taken.packets >= packets);
    }
};

class Encoder {
  public:
    explicit Encoder(std::shared_ptr<InterfaceTable> interfaces) : interfaces_(std::move(interfaces)) {}
    virtual ~Encoder() = default;

    // All of these can fail: then fault() is set, or the output's status() is not ok.
    // What stands at a file's begin, as far as it is known yet.
    virtual void begin(Output& to) = 0;
    // Rows, and what stands between them, up to rows.end or a limit: the row that is next.
    virtual std::uint32_t write(const Batch& batch, Rows rows, const Limits& limits, Output& to) = 0;
    // The last call for a file. Statistics, where they are known: one for each row of the interface table.
    virtual void end(Output& to, const std::vector<std::optional<Stats>>& statistics) = 0;

    const std::optional<Error>& fault() const noexcept { return fault_; }
    const CopyCount& copied() const noexcept { return copied_; }
    std::uint64_t left_out() const noexcept { return left_out_.get(); } // comments, options, blocks that found no place

  protected:
    const InterfaceTable& interfaces() const noexcept { return *interfaces_; }
    CopyCount copied_;
    Counter left_out_;
    std::optional<Error> fault_;

  private:
    std::shared_ptr<InterfaceTable> interfaces_;
};

// A packet as it stands in a file: a VLAN tag that was metadata is in the bytes again.
class Body {
  public:
    // snaplen 0: no limit.
    Body(const Packet& packet, std::uint32_t linktype, std::uint32_t snaplen) noexcept
        : packet_(packet), caplen_(static_cast<std::uint32_t>(packet.data.size())), origlen_(packet.origlen) {
        if (packet.vlan_tpid != 0) [[unlikely]]
            make_room_for_tag(linktype, snaplen);
    }
    std::uint32_t caplen() const noexcept { return caplen_; }
    std::uint32_t origlen() const noexcept { return origlen_; }
    void copy_to(std::byte* to, CopyCount& count) const noexcept {
        if (tag_at_ == no_tag) [[likely]]
            copy_payload(to, packet_.data, count);
        else
            copy_with_tag(to, count);
    }

  private:
    static constexpr std::uint32_t no_tag = UINT32_MAX;
    void make_room_for_tag(std::uint32_t linktype, std::uint32_t snaplen) noexcept;
    void copy_with_tag(std::byte* to, CopyCount& count) const noexcept;

    const Packet& packet_;
    std::uint32_t caplen_, origlen_;
    std::uint32_t tag_at_ = no_tag;  // the tag's four bytes stand here,
    std::uint32_t type_at_ = no_tag; // or its type is here and its number behind tag_at_ (Linux cooked, version 2)
};

} // namespace wirepath::files
