// SPDX-License-Identifier: Apache-2.0
// The choices that a user still has about a NIC's interrupts and polling, made for a capture by tpacket_v3 or af_xdp.
#include <cerrno>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/engine.hpp"
#include "engines/napi/source.hpp"
#include "linux/packet_socket.hpp"
#include "linux/routes.hpp"

namespace wirepath {
namespace {

using namespace napi;

std::uint32_t ring_slots(int socket, const std::string& name) {
    ethtool_ringparam rings{};
    rings.cmd = ETHTOOL_GRINGPARAM;
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = reinterpret_cast<char*>(&rings);
    return ::ioctl(socket, SIOCETHTOOL, &request) == 0 ? rings.rx_pending : 0;
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    if (request.target == "any")
        throw Error(Code::unsupported, "capturing from any by napi", 0,
                    "Polling is chosen for one interface: name it, or use tpacket_v3");
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const NetDevice device = netdevice_named(socket.get(), request.target);
    const Settings settings(request, device, ring_slots(socket.get(), device.name));
    const Engine& inner = engine_named(settings.inner_engine());
    if (inner.takes_packets && !request.take)
        refuse_default_route("napi with via=xdp", request.target);
    auto received = inner.open(settings.inner);
    const auto tuning = std::make_shared<Tuning>(device, settings);
    std::vector<std::unique_ptr<Source>> sources;
    for (auto& source : received)
        sources.push_back(std::make_unique<TunedSource>(std::move(source), tuning, sources.empty(), settings.busy));
    return sources;
}

} // namespace

extern const Engine napi_engine;
const Engine napi_engine{
    "napi", Takes::interface, false, option_specs(), probe_packet_socket, open,
};

} // namespace wirepath
