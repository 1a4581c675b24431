// SPDX-License-Identifier: Apache-2.0
#include "linux/link_watch.hpp"

#include <cerrno>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "core/error.hpp"

namespace wirepath {

LinkWatch::LinkWatch() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw Error::from_errno("listening for changes of interfaces", errno);
}

void LinkWatch::drain() noexcept {
    char scrap[64]; // what does not fit is cut off
    while (::recv(fd_.get(), scrap, sizeof scrap, 0) >= 0 || errno == ENOBUFS || errno == EINTR) {
    }
}

} // namespace wirepath
