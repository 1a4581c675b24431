// SPDX-License-Identifier: Apache-2.0
#include "engines/af_xdp/transmit_socket.hpp"

#include <bit>
#include <cerrno>
#include <ctime>
#include <sys/socket.h>

#include "core/error.hpp"
#include "engines/af_xdp/socket.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::af_xdp {
namespace {

void set(int fd, int option, std::uint32_t value, const std::string& doing) {
    if (::setsockopt(fd, SOL_XDP, option, &value, sizeof value) != 0)
        throw Error::from_errno(doing, errno, "Use a smaller ring_size");
}

} // namespace

TransmitSocket::TransmitSocket(const NetDevice& device, const TransmitSettings& settings)
    : umem_(Mapping::anonymous(std::size_t{settings.frames} * settings.frame_size)), fd_(make_socket()) {
    umem_.keep_from_children();
    register_umem(settings);
    map_rings(settings);
    bind(device, settings);
}

TransmitSocket::~TransmitSocket() {
    const bool child = in_child();
    transmitted_.unmap(child);
    completed_.unmap(child);
    fill_.unmap(child);
    if (child)
        umem_.forget(); // it was kept from this process
}

void TransmitSocket::register_umem(const TransmitSettings& settings) {
    xdp_umem_reg region{};
    region.addr = reinterpret_cast<std::uintptr_t>(umem_.data());
    region.len = std::uint64_t{settings.frames} * settings.frame_size;
    region.chunk_size = settings.frame_size;
    if (::setsockopt(fd_.get(), SOL_XDP, XDP_UMEM_REG, &region, sizeof region) != 0)
        throw Error::from_errno("registering a umem", errno,
                                errno == ENOBUFS || errno == ENOMEM
                                    ? "It is over the limit of locked memory: ulimit -l unlimited, CAP_IPC_LOCK, or "
                                      "fewer frames"
                                    : "");
}

void TransmitSocket::map_rings(const TransmitSettings& settings) {
    const std::uint32_t fill = 2, completion = std::bit_ceil(settings.frames);
    set(fd_.get(), XDP_UMEM_FILL_RING, fill, "making a fill ring");
    set(fd_.get(), XDP_UMEM_COMPLETION_RING, completion, "making a completion ring");
    set(fd_.get(), XDP_TX_RING, settings.ring_size, "making a transmit ring");
    xdp_mmap_offsets at{};
    socklen_t size = sizeof at;
    if (::getsockopt(fd_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) != 0)
        throw Error::from_errno("asking where the rings are", errno);
    transmitted_ = TransmitRing(fd_.get(), XDP_PGOFF_TX_RING, settings.ring_size, at.tx);
    completed_ = CompletionRing(fd_.get(), XDP_UMEM_PGOFF_COMPLETION_RING, completion, at.cr);
    fill_ = FillRing(fd_.get(), XDP_UMEM_PGOFF_FILL_RING, fill, at.fr);
}

// A socket that was closed a moment ago lets go of its queue in the background.
int TransmitSocket::try_bind(const NetDevice& device, std::uint32_t queue, std::uint16_t flags) noexcept {
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_flags = flags;
    address.sxdp_ifindex = static_cast<std::uint32_t>(device.ifindex);
    address.sxdp_queue_id = queue;
    for (int tries = 0;; ++tries) {
        if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
            return 0;
        if (errno != EBUSY || tries == 100)
            return errno;
        const timespec pause = {0, 5'000'000};
        ::nanosleep(&pause, nullptr);
    }
}

void TransmitSocket::bind(const NetDevice& device, const TransmitSettings& settings) {
    const std::string doing =
        "binding an AF_XDP socket to queue " + std::to_string(settings.queue) + " of " + device.name;
    fragments_ = device.mtu + 18 > settings.frame_size;
    const auto flags =
        static_cast<std::uint16_t>(XDP_USE_NEED_WAKEUP | (fragments_ ? uapi::xdp_use_sg : std::uint16_t{0}));
    int err = EOPNOTSUPP;
    if (settings.may_not_copy)
        err = try_bind(device, settings.queue, flags | XDP_ZEROCOPY);
    if (err != 0 && err != EBUSY && settings.may_copy)
        err = try_bind(device, settings.queue, flags | XDP_COPY);
    if (err == EBUSY)
        throw Error(Code::busy, doing, err, "Another AF_XDP socket has this queue, in this or another process");
    if (err != 0 && !settings.may_copy)
        throw Error(Code::unsupported, doing + " with zero-copy", err, "Use mode=auto or mode=copy");
    if (err == EINVAL && fragments_)
        throw Error(Code::unsupported, doing + " for frames in fragments", err,
                    "An MTU of " + std::to_string(device.mtu) +
                        " needs them, and they came with Linux 6.6: lower it, or send with another engine");
    if (err == EINVAL)
        throw Error(Code::bad_option, doing, err, "It has no such queue, or none for AF_XDP");
    if (err != 0)
        throw Error::from_errno(doing, err);
    xdp_options granted{};
    socklen_t size = sizeof granted;
    if (::getsockopt(fd_.get(), SOL_XDP, XDP_OPTIONS, &granted, &size) != 0)
        throw Error::from_errno("asking for the mode that was granted", errno);
    zero_copy_ = (granted.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

int TransmitSocket::wake() noexcept {
    return ::sendto(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
}

std::uint64_t TransmitSocket::invalid() const noexcept {
    xdp_statistics counted{};
    socklen_t size = sizeof counted;
    return ::getsockopt(fd_.get(), SOL_XDP, XDP_STATISTICS, &counted, &size) == 0 ? counted.tx_invalid_descs : 0;
}

} // namespace wirepath::af_xdp
