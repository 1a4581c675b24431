// SPDX-License-Identifier: Apache-2.0
#include "engines/af_xdp/settings.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath::af_xdp {
namespace {

using Kind = OptionSpec::Kind;

constexpr std::array specs = {
    OptionSpec{"queues", Kind::text, "", "all", "receive queues to take: all, or a list such as 0,2-3"},
    OptionSpec{"mode", Kind::text, "", "auto", "whether the NIC writes into our memory or the kernel copies",
               "auto|copy|zero_copy"},
    OptionSpec{"xdp_mode", Kind::text, "", "auto", "where the program runs: in the driver (native) or after it",
               "auto|native|generic"},
    OptionSpec{"frames", Kind::integer, "packets", "auto",
               "frames of a queue's umem (auto: half as many again as ring_size)"},
    OptionSpec{"frame_size", Kind::integer, "bytes", "auto",
               "size of a frame, 2048 or a page (auto: by the interface's MTU)"},
    OptionSpec{"headroom", Kind::integer, "bytes", "16", "room that stays free before each packet"},
    OptionSpec{"ring_size", Kind::integer, "packets", "auto",
               "slots of a queue's receive ring, a power of two (auto: 16k, fewer with many queues)"},
    OptionSpec{"need_wakeup", Kind::boolean, "", "on", "make system calls only when the driver asks for them"},
    OptionSpec{"busy_poll_us", Kind::integer, "us", "0",
               "poll the driver from the receiving thread for so long before sleeping (SO_BUSY_POLL)"},
    OptionSpec{"busy_poll_budget", Kind::integer, "packets", "0",
               "packets of one busy poll (SO_BUSY_POLL_BUDGET; 0: the kernel's own)"},
    OptionSpec{"prefer_busy_poll", Kind::boolean, "", "off",
               "let busy polling hold back the NIC's interrupts (SO_PREFER_BUSY_POLL)"},
    OptionSpec{"huge_pages", Kind::boolean, "", "off", "put the umem in 2 MiB pages"},
    OptionSpec{"timestamps", Kind::text, "", "xdp",
               "xdp: each packet's time is taken in the XDP program; batch: one time for what is received together",
               "xdp|batch"},
    OptionSpec{"fragments", Kind::text, "", "auto", "take packets that need several frames", "auto|on|off"},
    OptionSpec{"batch", Kind::integer, "packets", "1024", "packets of a batch at the most"},
    OptionSpec{"gather_us", Kind::integer, "us", "4000",
               "how long to let packets gather while fewer than an eighth of the ring are there: the latency that a "
               "packet may have"},
};

[[noreturn]] void refuse(std::string_view option, const std::string& value, const std::string& hint) {
    throw Error(Code::bad_option, "the option " + std::string(option) + " cannot be " + value, 0, hint);
}

std::uint32_t bounded(const Options& options, std::string_view name, std::int64_t low, std::int64_t high) {
    const std::int64_t value = options.integer(name);
    if (value < low || value > high)
        refuse(name, std::to_string(value), "It takes " + std::to_string(low) + " to " + std::to_string(high));
    return static_cast<std::uint32_t>(value);
}

bool parse_queue(std::string_view text, std::uint32_t& into) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), into);
    return failed == std::errc{} && end == text.data() + text.size();
}

void add_range(std::vector<std::uint32_t>& queues, std::string_view range, const std::string& whole,
               std::uint32_t count) {
    const std::size_t dash = range.find('-');
    std::uint32_t first = 0, last = 0;
    if (!parse_queue(range.substr(0, dash), first) ||
        !parse_queue(dash == std::string_view::npos ? range : range.substr(dash + 1), last) || first > last)
        refuse("queues", "'" + whole + "'", "It takes all, or a list such as 0,2-3");
    if (last >= count)
        refuse("queues", "'" + whole + "'",
               "The interface has " + std::to_string(count) + " receive queues, the first is 0");
    for (std::uint32_t queue = first; queue <= last; ++queue)
        queues.push_back(queue);
}

std::vector<std::uint32_t> parse_queues(const std::string& text, std::uint32_t count) {
    std::vector<std::uint32_t> queues;
    if (text == "all") {
        add_range(queues, "0-" + std::to_string(count - 1), text, count);
        return queues;
    }
    for (std::string_view rest = text;;) {
        const std::size_t comma = rest.find(',');
        add_range(queues, rest.substr(0, comma), text, count);
        if (comma == std::string_view::npos)
            break;
        rest.remove_prefix(comma + 1);
    }
    std::sort(queues.begin(), queues.end());
    queues.erase(std::unique(queues.begin(), queues.end()), queues.end());
    return queues;
}

Mode mode_of(const std::string& text) {
    return text == "auto" ? Mode::automatic : text == "copy" ? Mode::copy : Mode::zero_copy;
}

XdpMode xdp_mode_of(const std::string& text) {
    return text == "auto" ? XdpMode::automatic : text == "native" ? XdpMode::native : XdpMode::generic;
}

Fragments fragments_of(const std::string& text) {
    return text == "auto" ? Fragments::automatic : text == "on" ? Fragments::on : Fragments::off;
}

// Room for the bursts of 20 ms at 800,000 packets a second, until many queues would pin too much memory.
std::uint32_t ring_size_for(std::size_t queues) {
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(std::bit_floor(32768 / queues), 2048, 16384));
}

std::uint32_t frame_size_of(const Options& options, std::uint32_t headroom, const Device& device, bool zero_copy) {
    const auto page = static_cast<std::uint32_t>(::sysconf(_SC_PAGESIZE));
    const std::int64_t given = options.integer("frame_size");
    if (given == 0) {
        const std::uint32_t room = 2048 - Settings::kernel_headroom - headroom;
        const bool enough = device.longest_packet() <= (zero_copy ? device.usable_by_nic(room) : room);
        return enough ? 2048 : page;
    }
    if (given < 2048 || given > page || !std::has_single_bit(static_cast<std::uint64_t>(given)))
        refuse("frame_size", std::to_string(given),
               "The kernel takes powers of two from 2048 to " + std::to_string(page));
    return static_cast<std::uint32_t>(given);
}

} // namespace

std::span<const OptionSpec> option_specs() noexcept { return specs; }

Settings::Settings(const OpenRequest& request, const Device& device) {
    const Options options("af_xdp", specs, request.options);
    queues = parse_queues(options.text("queues"), device.queues);
    mode = mode_of(options.text("mode"));
    xdp_mode = xdp_mode_of(options.text("xdp_mode"));
    fragments = fragments_of(options.text("fragments"));
    ring_size = options.has("ring_size") ? bounded(options, "ring_size", 64, 1 << 20) : ring_size_for(queues.size());
    if (!std::has_single_bit(ring_size))
        refuse("ring_size", std::to_string(ring_size), "The kernel takes powers of two");
    frames = options.has("frames") ? bounded(options, "frames", 64, 1 << 22) : ring_size + ring_size / 2;
    headroom = bounded(options, "headroom", 0, 1024);
    frame_size = frame_size_of(options, headroom, device, mode != Mode::copy && xdp_mode != XdpMode::generic);
    batch = bounded(options, "batch", 1, 1 << 20);
    need_wakeup = options.flag("need_wakeup");
    huge_pages = options.flag("huge_pages");
    xdp_timestamps = options.text("timestamps") == "xdp";
    prefer_busy_poll = options.flag("prefer_busy_poll");
    busy_poll_us = bounded(options, "busy_poll_us", 0, 1'000'000);
    busy_poll_budget = bounded(options, "busy_poll_budget", 0, 65535);
    gather = std::chrono::microseconds(bounded(options, "gather_us", 0, 1'000'000));
    snaplen = request.snaplen;
    promisc = request.promisc;
}

} // namespace wirepath::af_xdp
