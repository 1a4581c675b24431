// SPDX-License-Identifier: Apache-2.0
// How a packet is put into words: tcpdump's options.
#pragma once

#include <cstdint>

namespace wirepath {

enum class TimeStyle : std::uint8_t { clock, none, epoch, since_previous, date, since_first }; // default, -t … -ttttt
enum class Dump : std::uint8_t { none, hex, hex_link, hex_ascii, hex_ascii_link, ascii, ascii_link };

struct Style {
    TimeStyle time = TimeStyle::clock;
    bool nanoseconds = false;   // else microseconds
    bool link_header = false;   // -e
    bool quiet = false;         // -q
    bool absolute_seq = false;  // -S
    bool no_checksums = false;  // -K
    bool numbers = false;       // -#
    bool interfaces = false;    // name each packet's interface
    std::uint8_t verbosity = 0; // how many -v
    Dump dump = Dump::none;     // -x -xx -X -XX -A -AA
};

} // namespace wirepath
