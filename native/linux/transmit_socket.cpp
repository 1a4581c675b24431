// SPDX-License-Identifier: Apache-2.0
#include "linux/transmit_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "linux/sending_device.hpp"

namespace wirepath {

TransmitSocket::TransmitSocket(const std::string& interface)
    : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) { // protocol 0: it never receives
    if (!fd_)
        throw Error::from_errno("opening a packet socket to send", errno,
                                errno == EPERM ? "needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw"
                                               : "");
    device_ = sending_device(fd(), interface);
}

void TransmitSocket::bind() {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = device_.ifindex;
    if (::bind(fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw Error::from_errno("binding to " + device_.name, errno);
}

void TransmitSocket::set(int option, int value, const char* doing) {
    if (::setsockopt(fd(), SOL_PACKET, option, &value, sizeof value) != 0)
        throw Error::from_errno(std::string(doing) + " on " + device_.name, errno);
}

void TransmitSocket::set_buffer_size(std::int64_t asked, SenderInfo& info) {
    const int size = static_cast<int>(std::clamp<std::int64_t>(asked, 0, INT32_MAX / 2));
    if (size > 0 && ::setsockopt(fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        ::setsockopt(fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size); // capped by net.core.wmem_max
    int granted = 0;
    socklen_t length = sizeof granted;
    ::getsockopt(fd(), SOL_SOCKET, SO_SNDBUF, &granted, &length);
    info.granted.push_back({"buffer_size", asked == 0 ? "the kernel's default" : std::to_string(asked),
                            std::to_string(asked == 0 ? granted : granted / 2)}); // it doubles what is asked
}

void TransmitSocket::describe(SenderInfo& info) const { describe_device(device_, info); }

std::optional<unsigned> bytes_under_way(int socket) noexcept {
    int bytes = 0;
    if (::ioctl(socket, SIOCOUTQ, &bytes) != 0)
        return std::nullopt;
    return static_cast<unsigned>(std::max(bytes, 0));
}

Error TransmitSocket::why_gone() const { return why_cannot_send(fd(), device_); }

bool TransmitSocket::means_gone(int error) noexcept { return error == ENETDOWN || error == ENXIO || error == ENODEV; }

} // namespace wirepath
