// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace wirepath {

// What one machine made of a file's packets.
struct MachineReport {
    std::string name, what;
    std::string unusable; // why it could not be asked at all; empty if it could
    std::uint64_t matches = 0, given = 0;
    std::map<std::string, std::uint64_t, std::less<>> not_given; // packets, by reason
};

// A packet of which two machines say different things.
struct Difference {
    std::uint64_t number; // in the file, from 1 on
    std::int64_t ts;
    std::uint32_t caplen, origlen, linktype;
    std::vector<std::string> matched_by, rejected_by;
};

struct Verification {
    std::uint64_t packets = 0, differing = 0;
    std::vector<MachineReport> machines;
    std::optional<Difference> first;
};

// Each packet of a capture file in every machine that can run the filter, compiled as for a file: all is in the bytes.
// It ends early when go_on, which is asked now and then, says so. Throws Error: the file or the filter is no good.
Verification verify_filter(const std::string& text, const std::string& path, const std::function<bool()>& go_on);

} // namespace wirepath
