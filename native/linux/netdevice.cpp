// SPDX-License-Identifier: Apache-2.0
#include "linux/netdevice.hpp"

#include <cerrno>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <vector>

#include "core/error.hpp"

namespace wirepath {
namespace {

ifreq request_for(const std::string& name) {
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    return request;
}

bool ethtool(int socket, const std::string& name, void* command) {
    ifreq request = request_for(name);
    request.ifr_data = static_cast<char*>(command);
    return ::ioctl(socket, SIOCETHTOOL, &request) == 0;
}

std::uint32_t ethtool_number(int socket, const std::string& name, std::uint32_t command) {
    ethtool_value value{};
    value.cmd = command;
    return ethtool(socket, name, &value) ? value.data : 0;
}

std::string driver_of(int socket, const std::string& name) {
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    return ethtool(socket, name, &info) ? info.driver : "";
}

// Asked twice: the first answer says how many words of link modes the second one needs room for.
std::uint64_t speed_of(int socket, const std::string& name) {
    std::vector<std::uint32_t> room(sizeof(ethtool_link_settings) / 4 + 3 * 127);
    auto* settings = reinterpret_cast<ethtool_link_settings*>(room.data());
    settings->cmd = ETHTOOL_GLINKSETTINGS;
    if (!ethtool(socket, name, settings) || settings->link_mode_masks_nwords >= 0)
        return 0;
    settings->link_mode_masks_nwords = static_cast<std::int8_t>(-settings->link_mode_masks_nwords);
    settings->cmd = ETHTOOL_GLINKSETTINGS;
    if (!ethtool(socket, name, settings) || settings->speed == static_cast<std::uint32_t>(SPEED_UNKNOWN))
        return 0;
    return std::uint64_t{settings->speed} * 1'000'000;
}

std::string names_here() {
    std::string names;
    if (struct if_nameindex* all = ::if_nameindex()) {
        for (const struct if_nameindex* one = all; one->if_index != 0; ++one)
            names += (names.empty() ? "" : ", ") + std::string(one->if_name);
        ::if_freenameindex(all);
    }
    return names;
}

} // namespace

bool NetDevice::up() const noexcept { return (flags & IFF_UP) != 0; }
bool NetDevice::loopback() const noexcept { return (flags & IFF_LOOPBACK) != 0; }

NetDevice netdevice_named(int socket, const std::string& name) {
    ifreq request = request_for(name);
    if (name.empty() || name.size() >= IFNAMSIZ || ::ioctl(socket, SIOCGIFINDEX, &request) != 0)
        throw Error(Code::not_found, "there is no interface '" + name + "'", 0, "Interfaces here: " + names_here());
    NetDevice device;
    device.name = name;
    device.ifindex = request.ifr_ifindex;
    if (::ioctl(socket, SIOCGIFFLAGS, &request) == 0)
        device.flags = static_cast<unsigned short>(request.ifr_flags);
    if (::ioctl(socket, SIOCGIFMTU, &request) == 0)
        device.mtu = static_cast<unsigned>(request.ifr_mtu);
    if (::ioctl(socket, SIOCGIFHWADDR, &request) == 0) {
        device.hardware_type = request.ifr_hwaddr.sa_family;
        if (device.hardware_type == ARPHRD_ETHER)
            device.mac.assign(request.ifr_hwaddr.sa_data, 6);
    }
    device.driver = driver_of(socket, name);
    device.speed_bps = speed_of(socket, name);
    device.gro = ethtool_number(socket, name, ETHTOOL_GGRO) != 0;
    device.lro = (ethtool_number(socket, name, ETHTOOL_GFLAGS) & ETH_FLAG_LRO) != 0;
    return device;
}

std::string netdevice_name(int socket, int ifindex) noexcept {
    ifreq request{};
    request.ifr_ifindex = ifindex;
    return ::ioctl(socket, SIOCGIFNAME, &request) == 0 ? request.ifr_name : "";
}

bool netdevice_is_up(int socket, const std::string& name) noexcept {
    ifreq request = request_for(name);
    return ::ioctl(socket, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

// The kernel answers when it has the lock under which interfaces change (RTNL).
void wait_for_netdevice_changes(int socket, const std::string& name) noexcept {
    ethtool_number(socket, name, ETHTOOL_GLINK);
}

std::uint32_t linktype_of_hardware(unsigned hardware_type) noexcept {
    switch (hardware_type) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        return linktype_ethernet;
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
        return linktype_raw_ip;
    case ARPHRD_IEEE80211:
        return 105;
    case ARPHRD_IEEE80211_RADIOTAP:
        return 127;
    default:
        return 0;
    }
}

} // namespace wirepath
