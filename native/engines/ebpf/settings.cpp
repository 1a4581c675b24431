// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/settings.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.hpp"
#include "linux/fd.hpp"
#include "linux/memory.hpp"

namespace wirepath::ebpf {
namespace {

using Kind = OptionSpec::Kind;

constexpr std::array specs = {
    OptionSpec{"hook", Kind::text, "", "tc",
               "where the program runs: at tc, beside what is there already, or at XDP, before the network stack",
               "tc|xdp"},
    OptionSpec{"mode", Kind::text, "", "tap",
               "tap: into the ring and on to the network stack; take: into the ring only (1 and 2, the words of "
               "PF_RING's transparent modes, are understood)"},
    OptionSpec{"direction", Kind::text, "", "auto",
               "packets that come in, that this host sends, or both (auto: both at tc in mode tap, else those that "
               "come in)",
               "auto|inout|in|out"},
    OptionSpec{"xdp_mode", Kind::text, "", "auto", "with hook=xdp: in the driver (native) or after it",
               "auto|native|generic"},
    OptionSpec{"rejected", Kind::text, "", "pass", "with mode=take: what becomes of packets that the filter rejects",
               "pass|drop"},
    OptionSpec{
        "program", Kind::text, "", "none",
        "a program of your own, in C (.c, compiled by clang) or compiled (.o), that decides what becomes of each "
        "packet that the filter lets through, and may mark it (batch.mark)"},
    OptionSpec{"also", Kind::text, "", "none", "further interfaces that share the ring: names, with commas between"},
    OptionSpec{"block_size", Kind::integer, "bytes", "512k",
               "a block of the ring: each CPU fills one; it must hold the largest packet"},
    OptionSpec{"block_nr", Kind::integer, "blocks", "auto",
               "blocks in the ring, two more than there are CPUs at least (auto: 64, or two for each CPU)"},
    OptionSpec{"process", Kind::boolean, "", "off",
               "with hook=tc: tell the process whose socket sent each packet, or that it is for"},
    OptionSpec{"gather_us", Kind::integer, "us", "4000",
               "how long to let packets gather while fewer than an eighth of the ring are there: the latency that a "
               "packet may have"},
};

constexpr std::uint32_t overhead = 256; // of a block and a record

[[noreturn]] void refuse(std::string_view option, const std::string& value, const std::string& hint) {
    throw Error(Code::bad_option, "the option " + std::string(option) + " cannot be " + value, 0, hint);
}

std::uint32_t bounded(const Options& options, std::string_view name, std::int64_t low, std::int64_t high) {
    const std::int64_t value = options.integer(name);
    if (value < low || value > high)
        refuse(name, std::to_string(value), "It takes " + std::to_string(low) + " to " + std::to_string(high));
    return static_cast<std::uint32_t>(value);
}

Mode mode_of(const std::string& text) {
    if (text == "tap" || text == "1")
        return Mode::tap;
    if (text == "take" || text == "2")
        return Mode::take;
    if (text == "0")
        refuse("mode", "0",
               "PF_RING's transparent mode 0 (through NAPI and the network stack) is what the engine tpacket_v3 does");
    refuse("mode", "'" + text + "'", "It takes tap (PF_RING's 1) or take (its 2)");
}

void choose_direction(Settings& settings, const std::string& text) {
    const bool both_by_itself = settings.hook == Hook::tc && settings.mode == Mode::tap;
    const std::string chosen = text != "auto" ? text : both_by_itself ? "inout" : "in";
    settings.inbound = chosen != "out";
    settings.outbound = chosen != "in";
    if (settings.outbound && settings.hook == Hook::xdp)
        refuse("direction", chosen, "XDP sees only what comes in: use hook=tc");
}

std::uint32_t online_cpus() { return static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))); }

Geometry geometry_of(const Options& options, std::uint32_t snaplen) {
    const std::int64_t page = ::sysconf(_SC_PAGESIZE), size = options.integer("block_size");
    const std::int64_t need = std::max<std::int64_t>(snaplen + overhead, 132 << 10);
    if (size % page != 0 || size < need || size > (4 << 20))
        refuse("block_size", std::to_string(size),
               "It is a multiple of the page size, " + std::to_string(page) + ", up to 4M, and at least " +
                   std::to_string((need + page - 1) / page * page) + " for a snaplen of " + std::to_string(snaplen));
    const std::uint32_t cpus = online_cpus();
    const std::uint32_t blocks = options.has("block_nr") ? bounded(options, "block_nr", cpus + 2, ebpf_most_blocks)
                                                         : std::clamp(2 * cpus, 64U, std::uint32_t{ebpf_most_blocks});
    check_ring_memory(static_cast<std::uint64_t>(size) * blocks, "block_nr");
    // One for each CPU to fill, and one for whichever comes to the end of its own.
    return {static_cast<std::uint32_t>(size), blocks, std::min(blocks / 2, blocks - cpus - 1)};
}

void add_interfaces(std::vector<std::string>& names, const std::string& also) {
    if (also == "none" || also.empty())
        return;
    for (std::size_t begin = 0; begin <= also.size();) {
        const std::size_t end = std::min(also.find(',', begin), also.size());
        const std::string name = also.substr(begin, end - begin);
        if (name.empty() || std::find(names.begin(), names.end(), name) != names.end())
            refuse("also", "'" + also + "'", "It takes names of other interfaces, each once, with commas between");
        names.push_back(name);
        begin = end + 1;
    }
}

} // namespace

std::span<const OptionSpec> option_specs() noexcept { return specs; }

Settings::Settings(const OpenRequest& request) {
    const Options options("ebpf", specs, request.options);
    interfaces = {request.target};
    add_interfaces(interfaces, options.text("also"));
    hook = options.text("hook") == "xdp" ? Hook::xdp : Hook::tc;
    mode = mode_of(options.text("mode"));
    choose_direction(*this, options.text("direction"));
    const std::string xdp = options.text("xdp_mode");
    xdp_mode = xdp == "auto" ? XdpMode::automatic : xdp == "native" ? XdpMode::native : XdpMode::generic;
    if (hook == Hook::tc && options.has("xdp_mode"))
        refuse("xdp_mode", xdp, "It is for hook=xdp");
    drop_rejected = options.text("rejected") == "drop";
    if (drop_rejected && mode == Mode::tap)
        refuse("rejected", "drop", "It is for mode=take: a tap leaves the host its packets");
    if (options.has("program"))
        program = options.text("program");
    gather = std::chrono::microseconds(bounded(options, "gather_us", 0, 1'000'000));
    snaplen = request.snaplen;
    promisc = request.promisc;
    process = options.flag("process");
    if (process && hook == Hook::xdp)
        refuse("process", "on", "XDP is before sockets: use hook=tc");
    geometry = geometry_of(options, snaplen);
}

Device Device::named(const std::string& name, Hook hook) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    Device device{netdevice_named(socket.get(), name)};
    const std::uint32_t linktype = linktype_of_hardware(device.hardware_type);
    if (linktype == 0 || (hook == Hook::xdp && linktype != linktype_ethernet))
        throw Error(Code::unsupported, "capturing from " + name + " by ebpf", 0,
                    linktype == 0 ? "Of this kind of interface only the engine tpacket_v3 captures"
                                  : "It is not an Ethernet interface: use hook=tc");
    if (!device.up())
        throw Error(Code::gone, "capturing from " + name, ENETDOWN, "Bring it up first: ip link set " + name + " up");
    return device;
}

} // namespace wirepath::ebpf
