// SPDX-License-Identifier: Apache-2.0
#include "linux/netns.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <sched.h>

#include "core/error.hpp"

namespace wirepath {
namespace {

std::string path_of(const std::string& which) {
    if (which.find('/') != std::string::npos)
        return which;
    if (std::all_of(which.begin(), which.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
        return "/proc/" + which + "/ns/net";
    return "/run/netns/" + which;
}

} // namespace

Netns::Netns(const std::string& which) {
    if (which.empty())
        return;
    const std::string path = path_of(which);
    fd_ = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd_)
        throw Error::from_errno("opening the network namespace " + path, errno,
                                errno == ENOENT ? "ip netns list shows the named ones" : "");
}

Netns::Inside::Inside(const Netns& netns) {
    if (!netns.fd_)
        return;
    before_ = Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!before_ || ::setns(netns.fd_.get(), CLONE_NEWNET) != 0)
        throw Error::from_errno("entering a network namespace", errno, "This needs CAP_SYS_ADMIN: run with sudo");
}

Netns::Inside::~Inside() {
    if (before_)
        ::setns(before_.get(), CLONE_NEWNET);
}

} // namespace wirepath
