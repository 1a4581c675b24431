// SPDX-License-Identifier: Apache-2.0
#include "linux/sending_device.hpp"

#include "core/error.hpp"

namespace wirepath {
NetDevice sending_device(int socket, const std::string& name) {
    NetDevice device = netdevice_named(socket, name);
    if (linktype_of_hardware(device.hardware_type) == 0)
        throw Error(Code::unsupported,
                    "sending on " + name + ": its link layer (ARPHRD " + std::to_string(device.hardware_type) +
                        ") has no frames that files hold",
                    0, "Send on an Ethernet, loopback or tun interface");
    if (!device.up())
        throw Error(Code::gone, "sending on " + name + ": it is down", 0,
                    "Bring it up with: ip link set " + name + " up");
    return device;
}

void describe_device(const NetDevice& device, SenderInfo& info) {
    info.interface = device.name;
    info.ifindex = static_cast<std::uint32_t>(device.ifindex);
    info.linktype = linktype_of_hardware(device.hardware_type);
    info.mtu = device.mtu;
    info.speed_bps = device.speed_bps;
    info.mac = device.mac;
}

bool went_away(int socket, const NetDevice& device) noexcept {
    wait_for_netdevice_changes(socket, device.name);
    const std::string name = netdevice_name(socket, device.ifindex);
    return name.empty() || !netdevice_is_up(socket, name);
}

Error why_cannot_send(int socket, const NetDevice& device) {
    const std::string name = netdevice_name(socket, device.ifindex);
    if (name.empty())
        return Error(Code::gone, "sending: the interface " + device.name + " has disappeared");
    const std::string known_as = name == device.name ? name : name + " (it was " + device.name + ")";
    return Error(Code::gone, "sending: the interface " + known_as + " went down", 0,
                 "Bring it up with: ip link set " + name + " up");
}

} // namespace wirepath
