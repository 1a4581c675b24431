// SPDX-License-Identifier: Apache-2.0
// PF_RING (ntop): a socket family of its own, whose module copies packets into a mapped ring beside the network stack;
// with ntop's own drivers (zc:) the NIC writes into the program's memory and the stack sees nothing.
#include "core/engine.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include "core/error.hpp"
#include "engines/pf_ring/sender.hpp"
#include "engines/pf_ring/source.hpp"
#include "linux/routes.hpp"

namespace wirepath {
namespace pf_ring {
namespace {

// All that is missing, at once: who installs the library will want to load the module, too.
std::string what_is_missing() {
    const Library* found = nullptr;
    try {
        found = &library();
        const Module module(*found);
        return {};
    } catch (const Error& error) {
        const bool loaded = found != nullptr || ::access("/proc/thread-self/net/pf_ring/info", F_OK) == 0;
        return error.what() + std::string(loaded ? "" : "; and the kernel module pf_ring is not loaded");
    }
}

Probe probe() {
    if (std::string missing = what_is_missing(); !missing.empty())
        return {false, std::move(missing)};
    const Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // asks for the same right as a PF_RING socket
    if (!fd)
        return {false, "needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw,+net_admin"};
    return {true, {}};
}

std::string mode_of(const Library& library, const Settings& settings) {
    return std::string(settings.target.zero_copy ? "ZC: the NIC's own ring" : "standard ring, beside the stack") +
           (library.is_double() ? " (a double of libpfring, for tests: not PF_RING)" : "");
}

void describe_parameters(Info& info, const Module& module, const Settings& settings) {
    const std::string parameter = module.parameter("transparent_mode");
    info.granted.push_back(
        {"transparent_mode", settings.transparent_mode, "1 in effect: into the ring, and on to the stack"});
    if (module.parameter_is_set("transparent_mode"))
        info.notes.push_back("the module was loaded with transparent_mode=" + parameter +
                             ", which it reads nowhere: every packet goes on to the stack, too");
    if (!module.parameter_is_set("enable_tx_capture"))
        info.notes.push_back("the module was loaded with enable_tx_capture=0: what this host sends is not captured");
    if (module.parameter_is_set("quick_mode"))
        info.notes.push_back("the module was loaded with quick_mode=1: one ring a channel, and no direction is told");
    if (module.parameter_is_set("keep_vlan_offload"))
        info.notes.push_back("the module was loaded with keep_vlan_offload=1: tags that the NIC takes off are lost");
    if (module.parameter_is_set("enable_ip_defrag"))
        info.notes.push_back("the module was loaded with enable_ip_defrag=1: it puts IP fragments together first");
}

void describe_zero_copy(Info& info, const Settings& settings) {
    info.notes.push_back("the NIC's packets are taken from the network stack, and the filter runs in the pipeline");
    if (settings.target.old_word)
        info.notes.push_back("dna: is zc: since PF_RING 6.4 (2016)");
}

Info info_for(const OpenRequest& request, const Library& library, const Module& module, const Settings& settings,
              const Device& device) {
    Info info;
    info.engine = "pf_ring";
    info.mode = mode_of(library, settings);
    info.takes_packets = settings.target.zero_copy;
    info.interfaces = request.interfaces;
    info.interface = request.interfaces->add(device.interface(settings));
    info.granted.push_back({"library", "", library.is_double() ? "a double, for tests" : library.version()});
    info.granted.push_back({"module", "", module.version()});
    info.granted.push_back({"snaplen", std::to_string(request.snaplen), std::to_string(settings.snaplen)});
    if (settings.target.zero_copy) {
        describe_zero_copy(info, settings);
    } else {
        info.granted.push_back({"ring_slots", "", module.slots()});
        describe_parameters(info, module, settings);
        if (device.netdevice().gro || device.netdevice().lro)
            info.notes.push_back("GRO or LRO is on: packets may be merged before they are captured");
    }
    return info;
}

void refuse_default_route(const OpenRequest& request, const Settings& settings) {
    if (settings.target.zero_copy && !request.take && carries_default_route(settings.target.interface))
        throw Error(Code::refused,
                    request.target + " is taken away from this host, and " + settings.target.interface +
                        " carries its default route",
                    0, "If that is what you want, say so with --take (take=True)");
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    Settings settings(request);
    refuse_default_route(request, settings);
    const Library& library = pf_ring::library();
    const Module module(library);
    const auto device = std::make_shared<Device>(settings, module);
    Info info = info_for(request, library, module, settings, *device);
    std::vector<std::unique_ptr<Source>> sources;
    const auto add = [&](const std::string& channels, std::uint32_t queue) {
        auto source = std::make_unique<RingSource>(library, module, device, settings, channels,
                                                   static_cast<std::uint16_t>(queue), info);
        info.notes.clear(); // they are the capture's, and said once
        if (settings.every_channel)
            for (std::uint32_t other = 0; other < source->channels_of_interface(); ++other)
                settings.channels.push_back(other);
        settings.every_channel = false;
        sources.push_back(std::move(source));
    };
    if (settings.channels.empty() && !settings.every_channel)
        add("", 0);
    if (settings.every_channel)
        add("0", 0);
    for (std::size_t at = sources.size(); at < settings.channels.size(); ++at)
        add(std::to_string(settings.channels[at]), settings.channels[at]);
    return sources;
}

} // namespace
} // namespace pf_ring

extern const Engine pf_ring_engine;
const Engine pf_ring_engine = {
    "pf_ring",      Takes::interface, false, pf_ring::option_specs(),
    pf_ring::probe, pf_ring::open,    {},    pf_ring::open_sender,
};

} // namespace wirepath
