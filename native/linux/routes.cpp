// SPDX-License-Identifier: Apache-2.0
#include "linux/routes.hpp"

#include <fstream>
#include <sstream>

#include "core/error.hpp"

namespace wirepath {
namespace {

// /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask …
bool in_ipv4(const std::string& interface) {
    std::ifstream table("/proc/thread-self/net/route");
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::string name, destination, skip, mask;
        fields >> name >> destination >> skip >> skip >> skip >> skip >> skip >> mask;
        if (name == interface && destination == "00000000" && mask == "00000000")
            return true;
    }
    return false;
}

// /proc/net/ipv6_route: destination prefix-length source … flags interface; `lo` holds the rejecting default.
bool in_ipv6(const std::string& interface) {
    std::ifstream table("/proc/thread-self/net/ipv6_route");
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::string destination, prefix, skip, name;
        fields >> destination >> prefix;
        while (fields >> skip)
            name = skip;
        if (name == interface && interface != "lo" && prefix == "00" &&
            destination.find_first_not_of('0') == std::string::npos)
            return true;
    }
    return false;
}

} // namespace

bool carries_default_route(const std::string& interface) { return in_ipv4(interface) || in_ipv6(interface); }

void refuse_default_route(std::string_view engine, const std::string& interface) {
    if (!interface.empty() && carries_default_route(interface))
        throw Error(Code::refused,
                    "the engine " + std::string(engine) + " takes packets away from this host, and " + interface +
                        " carries its default route",
                    0, "If that is what you want, say so with --take (take=True)");
}

} // namespace wirepath
