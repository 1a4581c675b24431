// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/kernel_side.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath::dpdk {
namespace {

int option_of(int fd, int level, int option) noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, level, option, &value, &size) == 0 ? value : -1;
}

} // namespace

std::vector<int> open_descriptors() {
    std::vector<int> list;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", none))
        list.push_back(std::stoi(entry.path().filename().string()));
    std::erase_if(list, [](int fd) { return ::fcntl(fd, F_GETFD) < 0; }); // that of the directory itself
    std::sort(list.begin(), list.end());
    return list;
}

void KernelSide::be_promiscuous() {
    promiscuity_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    packet_mreq request{};
    request.mr_ifindex = device_.ifindex;
    request.mr_type = PACKET_MR_PROMISC;
    if (!promiscuity_ ||
        ::setsockopt(promiscuity_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0)
        throw Error::from_errno("putting " + device_.name + " into promiscuous mode", errno);
}

// A packet socket of net_af_packet is known by its fanout group, which that driver makes of these two numbers.
bool KernelSide::belongs(int fd) const noexcept {
    const int domain = option_of(fd, SOL_SOCKET, SO_DOMAIN);
    if (domain == AF_XDP)
        return true;
    return domain == AF_PACKET &&
           (option_of(fd, SOL_PACKET, PACKET_FANOUT) & 0xffff) == ((::getpid() ^ device_.ifindex) & 0xffff);
}

void KernelSide::find_sockets(const std::vector<int>& before, std::uint16_t queues) {
    std::vector<int> found;
    for (const int fd : open_descriptors())
        if (!std::binary_search(before.begin(), before.end(), fd) && belongs(fd))
            found.push_back(fd);
    if (found.size() != queues)
        return;
    sockets_ = std::move(found);
    over_xdp_ = option_of(sockets_.front(), SOL_SOCKET, SO_DOMAIN) == AF_XDP;
    losses_.assign(queues, {});
    before_.assign(queues, {});
}

void KernelSide::forget_losses(std::uint16_t queue) noexcept {
    const std::lock_guard lock(mutex_);
    if (queue >= sockets_.size())
        return;
    read(queue);
    before_[queue] = losses_[queue];
}

void KernelSide::read(std::uint16_t queue) noexcept {
    if (over_xdp_) {
        xdp_statistics now{};
        socklen_t size = sizeof now;
        if (::getsockopt(sockets_[queue], SOL_XDP, XDP_STATISTICS, &now, &size) == 0)
            losses_[queue] = {now.rx_ring_full, now.rx_dropped + now.rx_invalid_descs};
        return;
    }
    tpacket_stats now{};
    socklen_t size = sizeof now;
    if (::getsockopt(sockets_[queue], SOL_PACKET, PACKET_STATISTICS, &now, &size) == 0)
        losses_[queue].ring += now.tp_drops;
}

std::optional<KernelSide::Losses> KernelSide::losses(std::uint16_t queue) noexcept {
    const std::lock_guard lock(mutex_);
    if (queue < sockets_.size())
        read(queue);
    if (queue >= losses_.size())
        return std::nullopt;
    return Losses{losses_[queue].ring - before_[queue].ring, losses_[queue].fill - before_[queue].fill};
}

void KernelSide::close_sockets() noexcept {
    const std::lock_guard lock(mutex_);
    for (const int fd : sockets_)
        ::close(fd);
    sockets_.clear();
}

} // namespace wirepath::dpdk
