// SPDX-License-Identifier: Apache-2.0
#include "engines/tpacket_v3/source.hpp"

namespace wirepath {
namespace {

using tpacket_v3::RingSource;

constexpr auto options = [] {
    std::array<OptionSpec, tpacket_v3::ring_options.size() + fanout_options.size() + 2> all{};
    auto at = all.begin();
    for (const OptionSpec& option : tpacket_v3::ring_options)
        *at++ = option;
    *at++ = direction_option;
    *at++ = timestamps_option;
    for (const OptionSpec& option : fanout_options)
        *at++ = option;
    return all;
}();

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const Options given("tpacket_v3", options, request.options);
    const auto fanout = std::make_shared<Fanout>(given);
    std::vector<std::unique_ptr<Source>> sources;
    std::uint16_t row = 0;
    for (std::uint16_t member = 0; member < fanout->members(); ++member) {
        auto source = std::make_unique<RingSource>(request, given, fanout, member);
        if (member == 0)
            row = request.interfaces->add(source->interface());
        source->set_row(row);
        sources.push_back(std::move(source));
    }
    return sources;
}

} // namespace

extern const Engine tpacket_v3_engine;
const Engine tpacket_v3_engine{
    "tpacket_v3",
    "AF_PACKET with a memory-mapped ring of blocks: the kernel copies each packet once, the program reads it in place",
    Takes::interface,
    false,
    options,
    probe_packet_socket,
    open,
};

} // namespace wirepath
