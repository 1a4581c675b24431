// SPDX-License-Identifier: Apache-2.0
#include "engines/napi/settings.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "core/error.hpp"
#include "engines/built.hpp"
#include "engines/tpacket_v3/source.hpp"
#if WIREPATH_BUILT_af_xdp
#include "engines/af_xdp/settings.hpp"
#endif

namespace wirepath::napi {
namespace {

using Kind = OptionSpec::Kind;

constexpr std::array own{
    OptionSpec{
        "via", Kind::text, "", "packet",
        "how packets come: by a ring of AF_PACKET (tpacket_v3), or by AF_XDP (af_xdp), which takes them from the "
        "host",
        "packet|xdp"},
    OptionSpec{
        "poll", Kind::text, "", "throughput",
        "the choice of all that follows: latency (poll all the time, which takes a CPU, where that is possible), "
        "throughput (a poll every 0.2 ms while packets flow), cpu (as seldom as the NIC's ring allows, up to 2 ms), "
        "or keep what is set",
        "latency|throughput|cpu|keep"},
    OptionSpec{"defer_hard_irqs", Kind::integer, "polls", "preset",
               "polls that find nothing before the NIC may interrupt again (napi_defer_hard_irqs)"},
    OptionSpec{"gro_flush_timeout_ns", Kind::integer, "ns", "preset",
               "time between two polls while interrupts are deferred: the latency that a packet may have"},
    OptionSpec{
        "threaded", Kind::text, "", "preset",
        "who polls: softirqs (off), a kernel thread for each NAPI instance (on), one that never sleeps (busy_poll, "
        "Linux 7.0)",
        "preset|keep|off|on|busy_poll"},
    OptionSpec{"measure", Kind::boolean, "", "on", "count interrupts and polls while the capture runs"},
    OptionSpec{
        "baseline_ms", Kind::integer, "ms", "0",
        "for how long to receive and count before anything is set, to compare with; 0: compare with the interrupts "
        "a packet since the interface's counters began"},
};

// What a preset chooses, too: the engines' own defaults do not count.
constexpr std::array preset_packet{"block_timeout_ms"};
constexpr std::array preset_xdp{"busy_poll_us", "busy_poll_budget", "prefer_busy_poll", "gather_us"};

constexpr OptionSpec any_timestamps{"timestamps",
                                    Kind::text,
                                    "",
                                    "",
                                    "as the engine that it stands on has them; without it that engine's default",
                                    "host|adapter|adapter_unsynced|xdp|batch"};

std::span<const OptionSpec> packet_specs() noexcept { return tpacket_v3::option_specs(); }
std::span<const OptionSpec> xdp_specs() noexcept {
#if WIREPATH_BUILT_af_xdp
    return af_xdp::option_specs();
#else
    return {};
#endif
}

bool lists(std::span<const OptionSpec> specs, std::string_view name) {
    return std::any_of(specs.begin(), specs.end(), [name](const OptionSpec& spec) { return spec.name == name; });
}

template <std::size_t N>
bool holds(const std::array<const char*, N>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// The texts live as long as the program.
OptionSpec with_via(const OptionSpec& spec, const char* via, bool by_preset) {
    static std::deque<std::string> texts;
    OptionSpec made = spec;
    made.help = texts.emplace_back("via=" + std::string(via) + ": " + std::string(spec.help));
    if (by_preset)
        made.initial = "preset";
    return made;
}

std::vector<OptionSpec> all_specs() {
    std::vector<OptionSpec> all(own.begin(), own.end());
    all.push_back(any_timestamps);
    for (const OptionSpec& spec : packet_specs())
        if (spec.name != any_timestamps.name)
            all.push_back(with_via(spec, "packet", holds(preset_packet, spec.name)));
    for (const OptionSpec& spec : xdp_specs())
        if (spec.name != any_timestamps.name)
            all.push_back(with_via(spec, "xdp", holds(preset_xdp, spec.name)));
    return all;
}

std::optional<std::uint64_t> given(const Options& options, std::string_view name, std::int64_t most) {
    if (!options.has(name))
        return std::nullopt;
    const std::int64_t value = options.integer(name);
    if (value < 0 || value > most)
        throw Error(Code::bad_option, "the option " + std::string(name) + " cannot be " + std::to_string(value), 0,
                    "It takes 0 to " + std::to_string(most));
    return static_cast<std::uint64_t>(value);
}

// For so long the NIC's ring takes packets of 512 bytes at the link's speed with half of its slots to spare. A link
// that does not tell its speed is taken to have 1 Gbit/s.
std::uint64_t longest_pause_ns(const NetDevice& device, std::uint32_t ring_slots) {
    const std::uint64_t speed = device.speed_bps != 0 ? device.speed_bps : 1'000'000'000;
    const std::uint64_t slots = ring_slots != 0 ? ring_slots : 256;
    return slots / 2 * 512 * 8 * 1'000'000'000 / speed;
}

// Few polls after the last packet: each costs a timer and a softirq, and a packet that comes alone has them all.
Knobs paced(std::uint64_t pause_ns, std::uint64_t polls, std::uint64_t longest_ns) {
    Knobs knobs;
    knobs.gro_flush_timeout_ns = std::clamp<std::uint64_t>(longest_ns, 20'000, pause_ns);
    knobs.defer_hard_irqs = polls;
    return knobs;
}

std::optional<std::uint64_t> threaded_named(const std::string& word) {
    return word == "off"         ? std::optional(threaded_off)
           : word == "on"        ? std::optional(threaded_on)
           : word == "busy_poll" ? std::optional(threaded_busy_poll)
                                 : std::nullopt;
}

} // namespace

std::span<const OptionSpec> option_specs() noexcept {
    static const std::vector<OptionSpec> all = all_specs();
    return all;
}

Settings::Settings(const OpenRequest& request, const NetDevice& device, std::uint32_t ring_slots) : inner(request) {
    const Options options("napi", option_specs(), request.options);
    xdp = options.text("via") == "xdp";
    poll = options.text("poll");
    threaded_asked = options.text("threaded") != "preset";
    measure = options.flag("measure");
    baseline = std::chrono::milliseconds(given(options, "baseline_ms", 60'000).value_or(0));
    pass_on(request);
    choose(options, device, ring_slots);
}

void Settings::pass_on(const OpenRequest& request) {
    inner.options.clear();
    for (const auto& [name, value] : request.options) {
        if (lists(own, name))
            continue;
        if (!lists(xdp ? xdp_specs() : packet_specs(), name))
            throw Error(Code::bad_option, "the option " + name + " has no meaning with via=" + (xdp ? "xdp" : "packet"),
                        0,
                        name.find("busy_poll") == std::string::npos
                            ? std::string("It belongs to via=") + (xdp ? "packet" : "xdp")
                            : "The kernel busy polls for sockets with a NAPI id, and those of AF_PACKET have none: "
                              "use via=xdp");
        inner.options[name] = value;
    }
}

void Settings::prefer(const std::string& option, const std::string& value) { inner.options.emplace(option, value); }

void Settings::choose(const Options& options, const NetDevice& device, std::uint32_t ring_slots) {
    const std::uint64_t longest = longest_pause_ns(device, ring_slots);
    if (poll == "throughput")
        knobs = paced(200'000, 4, longest);
    else if (poll == "cpu")
        knobs = paced(2'000'000, 8, longest);
    else if (poll == "latency" && xdp) // the application polls: interrupts only come when it pauses for so long
        knobs = paced(200'000, 2, longest);
    else if (poll == "latency")
        knobs = {0, 0, threaded_busy_poll};
    if (poll == "latency" && xdp) {
        prefer("prefer_busy_poll", "on");
        prefer("busy_poll_us", "10000"); // interrupt() is seen after so long
        prefer("busy_poll_budget", "64");
        prefer("gather_us", "0");
    } else if (poll == "throughput" && xdp) {
        prefer("prefer_busy_poll", "on");
        prefer("busy_poll_us", "20");
        prefer("busy_poll_budget", "64");
    } else if (poll == "latency") {
        prefer("block_timeout_ms", "1");
    }
    const auto busy_us = inner.options.find("busy_poll_us");
    busy = busy_us != inner.options.end() && busy_us->second != "0";
    if (const auto value = given(options, "defer_hard_irqs", INT32_MAX))
        knobs.defer_hard_irqs = value;
    if (const auto value = given(options, "gro_flush_timeout_ns", 1'000'000'000))
        knobs.gro_flush_timeout_ns = value;
    if (threaded_asked)
        knobs.threaded = threaded_named(options.text("threaded"));
}

} // namespace wirepath::napi
