// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/settings.hpp"

#include <array>
#include <cctype>
#include <regex>

#include "core/error.hpp"

namespace wirepath::dpdk {
namespace {

using Type = OptionSpec::Kind;

constexpr OptionSpec driver_spec = {"driver",
                                    Type::text,
                                    "",
                                    "af_packet",
                                    "DPDK's driver for an interface by its name: over a packet socket, or over AF_XDP",
                                    "af_packet|af_xdp"};
constexpr OptionSpec mtu_spec = {
    "mtu", Type::integer, "bytes", "auto",
    "the longest packet without its Ethernet header (auto: the interface's; of PCI devices 1500)"};
constexpr OptionSpec huge_pages_spec = {
    "huge_pages",
    Type::text,
    "",
    "auto",
    "DPDK's own memory, from its first use in a process on (auto: huge pages where 32 MiB of them are free)",
    "auto|on|off"};
constexpr OptionSpec eal_args_spec = {"eal_args", Type::text, "", "",
                                      "more arguments for rte_eal_init, at DPDK's first use in a process"};

constexpr std::array send_specs = {
    driver_spec,
    OptionSpec{"ring_size", Type::integer, "frames", "auto",
               "descriptors of the send queue; with af_packet frames of its ring (auto: 512)"},
    OptionSpec{"burst", Type::integer, "frames", "32", "frames that one call of the driver is given"},
    OptionSpec{"qdisc_bypass", Type::boolean, "", "off",
               "with af_packet: straight to the interface's driver, past the queueing discipline: faster, but no "
               "shaping and no tc on the way out, and other programs' taps do not see what is sent"},
    mtu_spec,
    huge_pages_spec,
    eal_args_spec,
};

constexpr std::array specs = {
    driver_spec,
    OptionSpec{"queues", Type::integer, "", "auto",
               "receive queues, a receiver each (auto: one; with af_xdp all that the interface has)"},
    OptionSpec{"ring_size", Type::integer, "packets", "auto",
               "descriptors of a receive queue; with af_packet frames of its ring"},
    OptionSpec{"mbufs", Type::integer, "packets", "auto",
               "packet buffers of a queue (auto: enough for its ring twice)"},
    OptionSpec{"burst", Type::integer, "packets", "64", "packets that one call of the driver may return"},
    OptionSpec{"batch", Type::integer, "packets", "1024", "packets of a batch at the most"},
    mtu_spec,
    OptionSpec{"wait", Type::text, "", "auto",
               "how to wait for packets: poll the device with short sleeps, or wait for its interrupt (auto: for an "
               "interrupt over af_packet, else poll)",
               "auto|poll|interrupt"},
    OptionSpec{"idle_us", Type::integer, "us", "50", "how long to sleep between polls that find nothing; 0: spin"},
    OptionSpec{"vlan_strip", Type::boolean, "", "off", "let a NIC take VLAN tags out of the bytes into vlan_tci"},
    huge_pages_spec,
    eal_args_spec,
};

[[noreturn]] void refuse(std::string_view option, const std::string& value, const std::string& hint) {
    throw Error(Code::bad_option, "the option " + std::string(option) + " cannot be " + value, 0, hint);
}

template <typename T>
T bounded(const Options& options, std::string_view name, std::int64_t low, std::int64_t high) {
    if (!options.has(name) && options.text(name) == "auto")
        return 0;
    const std::int64_t value = options.integer(name);
    if (value < low || value > high)
        refuse(name, std::to_string(value), "It takes " + std::to_string(low) + " to " + std::to_string(high));
    return static_cast<T>(value);
}

// The address with its domain; empty if it is none.
std::string pci_address(const std::string& text) {
    static const std::regex form("(?:([0-9a-fA-F]{1,8}):)?([0-9a-fA-F]{1,2}:[0-9a-fA-F]{1,2}\\.[0-7])(,.*)?");
    std::smatch found;
    if (!std::regex_match(text, found, form))
        return {};
    return found[1].matched ? text : "0000:" + text;
}

// net_tap0,iface=x → net_tap
std::string driver_of_vdev(const std::string& target) {
    std::string name = target.substr(0, target.find(','));
    while (!name.empty() && std::isdigit(static_cast<unsigned char>(name.back())) != 0)
        name.pop_back();
    return name;
}

Kind kind_of(const std::string& target) {
    if (!pci_address(target).empty())
        return Kind::pci;
    return target.starts_with("net_") || target.starts_with("eth_") ? Kind::vdev : Kind::interface;
}

Wait wait_of(const std::string& text) {
    return text == "auto" ? Wait::automatic : text == "poll" ? Wait::poll : Wait::interrupt;
}

HugePages huge_pages_of(const std::string& text) {
    return text == "auto" ? HugePages::automatic : text == "on" ? HugePages::on : HugePages::off;
}

} // namespace

std::span<const OptionSpec> option_specs() noexcept { return specs; }
std::span<const OptionSpec> send_option_specs() noexcept { return send_specs; }

// What capturing and sending have in common.
Settings::Settings(const std::string& asked, const Options& options) {
    kind = kind_of(asked);
    target = kind == Kind::pci ? pci_address(asked) : asked;
    driver = kind == Kind::interface ? "net_" + options.text("driver")
             : kind == Kind::vdev    ? driver_of_vdev(target)
                                     : std::string();
    if (kind != Kind::interface && options.has("driver"))
        refuse("driver", "chosen for " + target, "It is for interfaces by their names: the device has its own");
    ring_size = bounded<std::uint16_t>(options, "ring_size", 32, 32768);
    burst = bounded<std::uint16_t>(options, "burst", 1, 1024);
    mtu = bounded<std::uint16_t>(options, "mtu", 68, 16000);
    huge_pages = huge_pages_of(options.text("huge_pages"));
    eal_args = options.text("eal_args");
}

Settings::Settings(const OpenRequest& request) : Settings(request.target, Options("dpdk", specs, request.options)) {
    const Options options("dpdk", specs, request.options);
    queues = bounded<std::uint16_t>(options, "queues", 1, 128);
    mbufs = bounded<std::uint32_t>(options, "mbufs", 128, 1 << 22);
    batch = bounded<std::uint32_t>(options, "batch", 1, 1 << 20);
    wait = wait_of(options.text("wait"));
    idle = std::chrono::microseconds(bounded<std::uint32_t>(options, "idle_us", 0, 1'000'000));
    vlan_strip = options.flag("vlan_strip");
    snaplen = request.snaplen;
    promisc = request.promisc;
}

Settings::Settings(const SendRequest& request)
    : Settings(request.target, Options("dpdk", send_specs, request.options)) {
    const Options options("dpdk", send_specs, request.options);
    sends = true;
    qdisc_bypass = options.flag("qdisc_bypass");
    if (qdisc_bypass && (kind != Kind::interface || driver != "net_af_packet"))
        refuse("qdisc_bypass", "set for " + target, "It is for an interface by its name, with driver=af_packet");
}

std::string Settings::argument(const std::string& name) const {
    const std::string key = "," + name + "=";
    const std::size_t at = target.find(key);
    if (kind == Kind::interface || at == std::string::npos)
        return {};
    const std::size_t begin = at + key.size();
    return target.substr(begin, target.find(',', begin) - begin);
}

std::string Settings::interface() const {
    if (kind == Kind::interface)
        return target;
    return kind == Kind::vdev ? argument("iface") : std::string();
}

bool Settings::takes_packets() const { return kind == Kind::pci || !taken_from().empty(); }

std::string Settings::taken_from() const {
    return driver == "net_af_xdp" ? interface() : driver == "net_tap" ? argument("remote") : std::string();
}

std::string Settings::doing(const std::string& device) const {
    return (sends ? "sending on " : "capturing from ") + device;
}

} // namespace wirepath::dpdk
