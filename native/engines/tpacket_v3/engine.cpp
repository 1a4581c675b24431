// SPDX-License-Identifier: Apache-2.0
#include "engines/tpacket_v3/sender.hpp"
#include "engines/tpacket_v3/source.hpp"

namespace wirepath {
namespace {

using tpacket_v3::RingSource;

constexpr auto options = with_fanout_options(std::array{
    tpacket_v3::block_size_option,
    tpacket_v3::block_nr_option,
    tpacket_v3::block_timeout_option,
    direction_option,
    timestamps_option,
});

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const Options given("tpacket_v3", options, request.options);
    return open_fanout<RingSource>(request, given);
}

} // namespace

std::span<const OptionSpec> tpacket_v3::option_specs() noexcept { return options; }

extern const Engine tpacket_v3_engine;
const Engine tpacket_v3_engine{
    "tpacket_v3",
    Takes::interface,
    false,
    options,
    probe_packet_socket,
    open,
    tpacket_v3::send_options(),
    tpacket_v3::open_sender,
};

} // namespace wirepath
