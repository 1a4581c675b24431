// SPDX-License-Identifier: Apache-2.0
// Any bytes as a packet of any link type, said in any style. Byte 0: the link type; 1 and 2: the style; 3: a VLAN tag
// in metadata, and how much of the packet was not captured; the rest: the packet.
#include <cstdint>
#include <cstring>
#include <memory>

#include "decode/line.hpp"

namespace {

using namespace wirepath;

constexpr std::uint32_t linktypes[] = {1, 0, 101, 108, 113, 276, 228, 229, 12, 147};

Style style_of(std::uint8_t first, std::uint8_t second) {
    Style style;
    style.verbosity = first & 3;
    style.link_header = (first & 4) != 0;
    style.quiet = (first & 8) != 0;
    style.absolute_seq = (first & 16) != 0;
    style.no_checksums = (first & 32) != 0;
    style.numbers = (first & 64) != 0;
    style.nanoseconds = (first & 128) != 0;
    style.time = static_cast<TimeStyle>(second % 6);
    style.dump = static_cast<Dump>((second >> 3) % 7);
    return style;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size < 4)
        return 0;
    // Memory of exactly its size: a byte read beyond it is found.
    const std::size_t caplen = size - 4;
    const std::unique_ptr<std::byte[]> bytes(new std::byte[caplen]);
    std::memcpy(bytes.get(), input + 4, caplen);
    Packet packet;
    packet.data = {bytes.get(), caplen};
    packet.origlen = static_cast<std::uint32_t>(caplen + 16 * (input[3] & 15));
    packet.ts = static_cast<std::int64_t>(input[1]) << 52;
    packet.vlan_tpid = (input[3] & 16) != 0 ? 0x8100 : 0;
    packet.vlan_tci = input[2];
    Interface interface;
    interface.linktype = linktypes[input[0] % std::size(linktypes)];
    LineDecoder decoder(style_of(input[1], input[2]));
    Text text(64);
    decoder.put(text, packet, interface);
    decoder.put(text, packet, interface); // a conversation that is known
    return text.view().back() == '\n' ? 0 : -1;
}
