// SPDX-License-Identifier: Apache-2.0
#include "engines/af_xdp/device.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "linux/fd.hpp"

namespace wirepath::af_xdp {
namespace {

ifreq request_for(const std::string& name) {
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    return request;
}

ifreq ask(const std::string& name, int socket, unsigned long what, const char* doing) {
    ifreq request = request_for(name);
    if (::ioctl(socket, what, &request) != 0)
        throw Error::from_errno(std::string(doing) + " of " + name, errno,
                                errno == ENODEV ? "wirepath engines and ip link list the interfaces" : "");
    return request;
}

template <typename T>
bool ethtool(const std::string& name, int socket, std::uint32_t command, T& data) {
    data.cmd = command;
    ifreq request = request_for(name);
    request.ifr_data = reinterpret_cast<char*>(&data);
    return ::ioctl(socket, SIOCETHTOOL, &request) == 0;
}

// A driver that does not tell its channels has one queue: those with several all do.
std::uint32_t receive_queues(const std::string& name, int socket) {
    ethtool_channels channels{};
    if (!ethtool(name, socket, ETHTOOL_GCHANNELS, channels))
        return 1;
    return std::max(1U, channels.rx_count + channels.combined_count);
}

std::string driver_of(const std::string& name, int socket) {
    ethtool_drvinfo info{};
    return ethtool(name, socket, ETHTOOL_GDRVINFO, info) ? info.driver : "";
}

} // namespace

Device Device::named(const std::string& name) {
    if (name.size() >= IFNAMSIZ)
        throw Error(Code::not_found, "looking for the interface " + name, ENODEV, "A name has 15 characters at most");
    const Fd any(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int socket = any.get();
    Device device;
    device.name = name;
    device.ifindex = static_cast<std::uint32_t>(ask(name, socket, SIOCGIFINDEX, "reading the index").ifr_ifindex);
    device.mtu = static_cast<std::uint32_t>(ask(name, socket, SIOCGIFMTU, "reading the MTU").ifr_mtu);
    const ifreq address = ask(name, socket, SIOCGIFHWADDR, "reading the address");
    if (address.ifr_hwaddr.sa_family != ARPHRD_ETHER && address.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
        throw Error(Code::unsupported, "capturing from " + name + " by af_xdp", 0,
                    "It is not an Ethernet interface: use the engine tpacket_v3");
    device.mac.assign(address.ifr_hwaddr.sa_data, 6);
    if ((ask(name, socket, SIOCGIFFLAGS, "reading the flags").ifr_flags & IFF_UP) == 0)
        throw Error(Code::gone, "capturing from " + name, ENETDOWN, "Bring it up first: ip link set " + name + " up");
    device.queues = receive_queues(name, socket);
    device.driver = driver_of(name, socket);
    return device;
}

LinkState link_state(std::uint32_t ifindex, int socket) noexcept {
    ifreq request{};
    request.ifr_ifindex = static_cast<int>(ifindex);
    if (::ioctl(socket, SIOCGIFNAME, &request) != 0 || ::ioctl(socket, SIOCGIFFLAGS, &request) != 0)
        return LinkState::absent;
    return (request.ifr_flags & IFF_UP) != 0 ? LinkState::up : LinkState::down;
}

} // namespace wirepath::af_xdp
