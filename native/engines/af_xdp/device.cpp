// SPDX-License-Identifier: Apache-2.0
#include "engines/af_xdp/device.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "linux/fd.hpp"

namespace wirepath::af_xdp {
namespace {

// A driver that does not tell its channels has one queue: those with several all do.
std::uint32_t receive_queues(const std::string& name, int socket) {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = reinterpret_cast<char*>(&channels);
    if (::ioctl(socket, SIOCETHTOOL, &request) != 0)
        return 1;
    return std::max(1U, channels.rx_count + channels.combined_count);
}

} // namespace

Device Device::named(const std::string& name) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)); // AF_XDP's know no ioctl
    Device device{netdevice_named(socket.get(), name)};
    if (linktype_of_hardware(device.hardware_type) != linktype_ethernet)
        throw Error(Code::unsupported, "capturing from " + name + " by af_xdp", 0,
                    "It is not an Ethernet interface: use the engine tpacket_v3");
    if (!device.up())
        throw Error(Code::gone, "capturing from " + name, ENETDOWN, "Bring it up first: ip link set " + name + " up");
    device.queues = receive_queues(name, socket.get());
    return device;
}

} // namespace wirepath::af_xdp
