// SPDX-License-Identifier: Apache-2.0
// A packet in words, in tcpdump's manner: never reads outside the packet, never resolves a name.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/interfaces.hpp"
#include "core/packet.hpp"
#include "decode/clock.hpp"
#include "decode/conversations.hpp"
#include "decode/style.hpp"
#include "decode/text.hpp"

namespace wirepath {
namespace decode {
struct Context;
}

class LineDecoder {
  public:
    explicit LineDecoder(const Style& style); // throws Error

    // Names of interfaces by their index, for captures of all of them.
    void set_names(std::map<std::uint32_t, std::string> names) { names_ = std::move(names); }

    // The packet's line, or lines, with the line break. `interface` is what the packet came from.
    void put(Text& out, const Packet& packet, const Interface& interface) noexcept;

  private:
    void put_link(decode::Context& context, const Packet& packet, const Interface& interface) const noexcept;
    std::string_view sll2_interface(const Packet& packet, const Interface& interface) const noexcept;
    void put_dump(Text& out, const Packet& packet, std::uint32_t linktype, std::uint32_t link_header_bytes) noexcept;

    Style style_;
    decode::Clock clock_;
    decode::Conversations conversations_;
    std::map<std::uint32_t, std::string> names_;
    Text tagged_;
    std::uint64_t number_ = 0;
};

} // namespace wirepath
