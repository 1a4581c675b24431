// SPDX-License-Identifier: Apache-2.0
#include "engines/pf_ring/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.hpp"
#include "linux/hw_timestamps.hpp"
#include "linux/packet_socket.hpp"

namespace wirepath::pf_ring {
namespace {

using Kind = OptionSpec::Kind;

constexpr std::uint32_t longest_packet = 65600; // bytes; libpfring cuts what is longer
constexpr std::uint32_t most_channels = 31;     // that libpfring's channel masks can name

constexpr std::array specs = {
    OptionSpec{
        "channels", Kind::text, "", "one",
        "receive channels of the interface: one ring for all of them (one), a ring and a worker for each (all), or "
        "for those in a list such as 0,2-3"},
    direction_option,
    timestamps_option,
    OptionSpec{"watermark", Kind::integer, "packets", "1",
               "packets that must be in the ring before the kernel wakes the receiver; it looks by itself every 10 ms"},
    OptionSpec{"transparent_mode", Kind::text, "", "",
               "PF_RING's old word for how packets pass by the stack: checked against what the loaded module does",
               "0|1|2"},
};

Error bad_channels(const std::string& given) {
    return Error(Code::bad_option, "channels cannot be '" + given + "'", 0,
                 "It is one, all, or a list of channels 0 to " + std::to_string(most_channels - 1) + ", such as 0,2-3");
}

std::uint32_t channel_in(std::string_view text, const std::string& given) {
    std::uint32_t channel = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), channel);
    if (error != std::errc() || end != text.data() + text.size() || channel >= most_channels)
        throw bad_channels(given);
    return channel;
}

std::vector<std::uint32_t> channels_in(const std::string& given) {
    std::vector<std::uint32_t> channels;
    for (std::string_view rest = given; !rest.empty();) {
        const std::string_view item = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), item.size() + 1));
        const auto dash = item.find('-');
        const std::uint32_t first = channel_in(item.substr(0, dash), given),
                            last = dash == std::string_view::npos ? first : channel_in(item.substr(dash + 1), given);
        for (std::uint32_t channel = first; channel <= last; ++channel)
            channels.push_back(channel);
    }
    std::sort(channels.begin(), channels.end());
    channels.erase(std::unique(channels.begin(), channels.end()), channels.end());
    if (channels.empty())
        throw bad_channels(given);
    return channels;
}

void choose_channels(Settings& settings, const Options& given) {
    const std::string asked = given.text("channels");
    if (!settings.target.channels.empty() && given.has("channels"))
        throw Error(Code::bad_option, "channels are named twice, in the device and in channels=" + asked, 0,
                    "Name them in one place");
    const std::string& named = settings.target.channels.empty() ? asked : settings.target.channels;
    settings.every_channel = named == "all";
    if (named != "one" && named != "all")
        settings.channels = channels_in(named);
}

std::uint16_t watermark_of(const Options& given) {
    const std::int64_t packets = given.integer("watermark");
    if (packets < 1 || packets > 65535)
        throw Error(Code::bad_option, "watermark cannot be " + std::to_string(packets), 0, "It is 1 to 65535 packets");
    return static_cast<std::uint16_t>(packets);
}

// The old modes, and what became of them. In a module that is known here 1 is what happens, whatever it is loaded with.
std::string transparent_mode_of(const Options& given) {
    const std::string mode = given.has("transparent_mode") ? given.text("transparent_mode") : "";
    if (mode == "2")
        throw Error(Code::unsupported, "PF_RING's transparent_mode=2: packets for the ring only", 0,
                    "Its module has read that parameter nowhere since 6.0.3: every packet goes on to the stack. What "
                    "keeps packets from the stack is AF_XDP (--engine af_xdp) or zc: with one of ntop's drivers");
    return mode;
}

} // namespace

std::span<const OptionSpec> option_specs() noexcept { return specs; }

Target Target::named(const std::string& text) {
    Target target;
    std::string rest = text;
    if (const auto colon = rest.find(':'); colon != std::string::npos) {
        const std::string word = rest.substr(0, colon);
        target.old_word = word == "dna";
        target.zero_copy = word == "zc" || target.old_word;
        if (!target.zero_copy)
            throw Error(Code::bad_option, "PF_RING's device '" + text + "'", 0,
                        "What may stand before the colon is zc (or dna, its name before 2016)");
        rest.erase(0, colon + 1);
    }
    const auto at = rest.find('@');
    target.interface = rest.substr(0, at);
    if (at != std::string::npos)
        target.channels = rest.substr(at + 1);
    if (target.interface.empty() || target.interface == "any" || (at != std::string::npos && target.channels.empty()))
        throw Error(Code::bad_option, "PF_RING's device '" + text + "'", 0,
                    "Name one interface, with a channel or without: eth0, eth0@1, zc:eth0");
    return target;
}

std::string Target::device(std::string_view channel) const {
    std::string device = zero_copy ? "zc:" : "";
    device += interface;
    if (!channel.empty())
        device.append("@").append(channel);
    return device;
}

Settings::Settings(const OpenRequest& request) : target(Target::named(request.target)) {
    const Options given("pf_ring", specs, request.options);
    choose_channels(*this, given);
    const std::string named = given.text("direction");
    direction = named == "in" ? Direction::in : named == "out" ? Direction::out : Direction::both;
    clock = clock_named(given.text("timestamps"));
    transparent_mode = transparent_mode_of(given);
    watermark = watermark_of(given);
    snaplen = request.snaplen == 0 ? longest_packet : std::min(request.snaplen, longest_packet);
    promisc = request.promisc;
    if (target.zero_copy && direction != Direction::both && direction != Direction::in)
        throw Error(Code::bad_option, "direction=" + named + " with " + request.target, 0,
                    "What this host sends does not come to a zc: device");
}

} // namespace wirepath::pf_ring
