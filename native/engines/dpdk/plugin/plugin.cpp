// SPDX-License-Identifier: Apache-2.0
#include "core/plugin.hpp"

#include <rte_version.h>

#include "core/engine.hpp"
#include "engines/dpdk/plugin/sender.hpp"
#include "engines/dpdk/plugin/source.hpp"
#include "linux/packet_socket.hpp"

namespace wirepath {
namespace {

using namespace dpdk;

// Some virtual devices need no right at all, but none that captures from an interface.
Probe probe() { return probe_packet_socket(); }

// What stands between the device and this program, in words.
std::string what_it_bypasses(const Port& port) {
    if (port.settings().kind == Kind::pci)
        return "yes: the NIC writes into this program's memory";
    const std::string driver = port.driver();
    if (driver == "net_af_packet")
        return "no: the kernel copies each packet into a packet socket's ring, and the driver from there";
    if (driver == "net_af_xdp")
        return "no: the kernel's driver receives, and AF_XDP passes packets on before the network stack";
    if (driver == "net_tap")
        return "no: a TUN/TAP device of the kernel's, each packet copied by a system call";
    return "no: a virtual device";
}

Info info_for(const OpenRequest& request, const Port& port) {
    const Plan& plan = port.plan();
    const std::string bypass = what_it_bypasses(port);
    const bool bypasses = bypass.starts_with("yes");
    Info info;
    info.engine = "dpdk";
    info.mode = port.driver() + ", " + std::to_string(plan.queues) + (plan.queues == 1 ? " queue" : " queues") +
                (port.huge_pages() ? ", huge pages" : ", no huge pages") + (bypasses ? "" : ", not a kernel bypass");
    info.takes_packets = port.settings().takes_packets();
    info.interfaces = request.interfaces;
    info.interface = info.interfaces->add(port.interface());
    info.granted.push_back({"kernel_bypass", "", bypass});
    info.granted.push_back({"ring_size",
                            port.settings().ring_size != 0 ? std::to_string(port.settings().ring_size) : "auto",
                            std::to_string(plan.ring_size)});
    if (port.driver() == "net_af_xdp")
        info.granted.push_back({"vlan_tags", "all", "only those in the bytes"});
    info.notes.push_back("the time of a packet is that of the burst it was received in");
    return info;
}

void note_what_is_lost(Info& info, Port& port) {
    if (port.driver() != "net_af_packet")
        return;
    info.notes.push_back("net_af_packet tells every VLAN tag as one of 0x8100, does not tell a packet's direction, and "
                         "has the kernel put IP fragments together");
    if (KernelSide* kernel = port.kernel(); kernel != nullptr && (kernel->device().gro || kernel->device().lro))
        info.notes.push_back("GRO is on: packets that it merged are cut to " + std::to_string(port.plan().room) +
                             " bytes, and net_af_packet does not tell that they were longer");
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const auto port = std::make_shared<Port>(Settings(request));
    Info info = info_for(request, *port);
    note_what_is_lost(info, *port);
    std::vector<std::unique_ptr<Source>> sources;
    for (std::uint16_t queue = 0; queue < port->plan().queues; ++queue) {
        sources.push_back(std::make_unique<QueueSource>(port, queue, info));
        info.notes.clear(); // they are the capture's, and said once
    }
    return sources;
}

} // namespace
} // namespace wirepath

WIREPATH_PLUGIN_EXPORT const wirepath::Engine wirepath_plugin;
const wirepath::Engine wirepath_plugin = {
    .name = "dpdk",
    .target = wirepath::Takes::interface,
    .takes_packets = true,
    .options = wirepath::dpdk::option_specs(),
    .probe = wirepath::probe,
    .open = wirepath::open,
    .open_sender = wirepath::dpdk::open_sender,
};
