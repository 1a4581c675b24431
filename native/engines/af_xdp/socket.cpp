// SPDX-License-Identifier: Apache-2.0
// The rings are our own over <linux/if_xdp.h>: what libxdp adds to them is a loader that this engine does without.
#include "engines/af_xdp/socket.hpp"

#include <bit>
#include <cerrno>
#include <ctime>
#include <sys/socket.h>
#include <vector>

#include "core/error.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::af_xdp {
namespace {

template <typename T>
void set(int fd, int level, int option, const T& value, const std::string& doing, const std::string& hint = {}) {
    if (::setsockopt(fd, level, option, &value, sizeof value) != 0)
        throw Error::from_errno(doing, errno, hint);
}

std::string umem_hint(const Settings& settings) {
    const std::size_t bytes = std::size_t{settings.frames} * settings.frame_size;
    if (errno == ENOBUFS || errno == ENOMEM)
        return "A umem of " + std::to_string(bytes >> 10) +
               " KiB is over the limit of locked memory: ulimit -l unlimited, CAP_IPC_LOCK, or fewer frames";
    return errno == EINVAL ? "The kernel does not take this frame_size, headroom or number of frames" : "";
}

// The binds to try, best first.
std::vector<std::uint16_t> attempts(const Device& device, bool native, const Settings& settings) {
    const bool one_frame = device.longest_packet() <= settings.frame_room();
    if (!one_frame && settings.fragments == Fragments::off)
        throw Error(Code::unsupported, "capturing from " + device.name + " without fragments", 0,
                    "Its MTU of " + std::to_string(device.mtu) + " needs more than the " +
                        std::to_string(settings.frame_room()) + " bytes of a frame: lower it, or allow fragments");
    std::vector<std::uint16_t> flags;
    const auto add = [&](std::uint16_t mode) {
        if (settings.fragments != Fragments::off)
            flags.push_back(mode | uapi::xdp_use_sg);
        if (settings.fragments != Fragments::on && one_frame)
            flags.push_back(mode);
    };
    const std::uint32_t room = settings.frame_room(), usable = device.usable_by_nic(room);
    const bool torn = usable < room && device.longest_packet() > usable;
    if (settings.mode == Mode::zero_copy && torn)
        throw Error(Code::unsupported, "capturing from " + device.name + " with zero-copy", 0,
                    device.the_driver() + " would use " + std::to_string(usable) +
                        " bytes of a frame, and tear longer packets apart: choose frame_size=4096, or lower the MTU");
    if (settings.mode != Mode::copy && native && !torn)
        add(XDP_ZEROCOPY);
    if (settings.mode != Mode::zero_copy)
        add(XDP_COPY);
    return flags;
}

Error cannot_bind(const Device& device, std::uint32_t queue, bool native, const Settings& settings, int err) {
    const std::string doing = "binding an AF_XDP socket to queue " + std::to_string(queue) + " of " + device.name;
    if (err == EBUSY)
        return Error(Code::busy, doing, err, "Another AF_XDP socket has this queue, in this or another process");
    if (settings.mode == Mode::zero_copy && (err == EOPNOTSUPP || err == EINVAL))
        return Error(Code::unsupported, doing + " with zero-copy", err,
                     (native ? device.the_driver() : "Generic XDP") + " has no zero-copy: use mode=auto or mode=copy");
    if (err == EINVAL && device.longest_packet() > settings.frame_room() && settings.fragments != Fragments::off)
        return Error(Code::unsupported, doing + " for packets in fragments", err,
                     "An MTU of " + std::to_string(device.mtu) + " needs more than the " +
                         std::to_string(settings.frame_room()) +
                         " bytes of a frame, and fragments came with Linux 6.6: lower the MTU");
    return Error::from_errno(doing, err);
}

} // namespace

Fd make_socket() {
    Fd fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!fd)
        throw Error::from_errno("making an AF_XDP socket", errno,
                                errno == EAFNOSUPPORT ? "The kernel was built without CONFIG_XDP_SOCKETS"
                                : errno == EPERM      ? "This needs CAP_NET_RAW: run with sudo, or with setpriv "
                                                        "--ambient-caps +net_raw,+net_admin,+bpf,+perfmon,+ipc_lock"
                                                      : "");
    return fd;
}

Socket::Socket(const Device& device, std::uint32_t queue, bool native, Umem& umem, const Settings& settings)
    : fd_(make_socket()) {
    register_umem(umem, settings);
    map_rings(settings);
    set_busy_polling(settings);
    // Before binding: a driver with zero-copy gives its NIC frames as it is bound, and if there are none waits to be
    // woken.
    for (std::uint32_t frame = 0; frame < umem.frames(); ++frame)
        fill_.push(std::uint64_t{frame} * umem.frame_size());
    fill_.submit();
    bind(device, queue, native, settings);
}

void Socket::register_umem(Umem& umem, const Settings& settings) {
    xdp_umem_reg region{};
    region.addr = reinterpret_cast<std::uintptr_t>(umem.base());
    region.len = umem.bytes();
    region.chunk_size = settings.frame_size;
    region.headroom = settings.headroom;
    if (::setsockopt(fd_.get(), SOL_XDP, XDP_UMEM_REG, &region, sizeof region) != 0)
        throw Error::from_errno("registering a umem", errno, umem_hint(settings));
}

void Socket::map_rings(const Settings& settings) {
    const std::uint32_t fill = std::bit_ceil(settings.frames), completion = 2;
    set(fd_.get(), SOL_XDP, XDP_UMEM_FILL_RING, fill, "making a fill ring");
    set(fd_.get(), SOL_XDP, XDP_UMEM_COMPLETION_RING, completion, "making a completion ring");
    set(fd_.get(), SOL_XDP, XDP_RX_RING, settings.ring_size, "making a receive ring", "Use a smaller ring_size");
    xdp_mmap_offsets at{};
    socklen_t size = sizeof at;
    if (::getsockopt(fd_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) != 0)
        throw Error::from_errno("asking where the rings are", errno);
    received_ = ReceiveRing(fd_.get(), XDP_PGOFF_RX_RING, settings.ring_size, at.rx);
    fill_ = FillRing(fd_.get(), XDP_UMEM_PGOFF_FILL_RING, fill, at.fr);
}

void Socket::set_busy_polling(const Settings& settings) {
    if (settings.prefer_busy_poll)
        set(fd_.get(), SOL_SOCKET, SO_PREFER_BUSY_POLL, 1, "preferring busy polling");
    if (settings.busy_poll_us != 0)
        set(fd_.get(), SOL_SOCKET, SO_BUSY_POLL, settings.busy_poll_us, "setting busy polling");
    if (settings.busy_poll_budget != 0)
        set(fd_.get(), SOL_SOCKET, SO_BUSY_POLL_BUDGET, settings.busy_poll_budget, "setting the busy poll budget");
    busy_polls_ = settings.busy_poll_us != 0;
}

std::uint64_t Socket::busy_poll_granted(int option) const noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd_.get(), SOL_SOCKET, option, &value, &size) == 0 ? static_cast<std::uint64_t>(value) : 0;
}

// A socket that was closed a moment ago lets go of its queue in the background.
int Socket::try_bind(const Device& device, std::uint32_t queue, std::uint16_t flags) noexcept {
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

void Socket::bind(const Device& device, std::uint32_t queue, bool native, const Settings& settings) {
    int err = EOPNOTSUPP;
    for (const std::uint16_t flags : attempts(device, native, settings)) {
        err = try_bind(device, queue, flags | (settings.need_wakeup ? XDP_USE_NEED_WAKEUP : 0));
        if (err == 0) {
            fragments_ = (flags & uapi::xdp_use_sg) != 0;
            break;
        }
        if (err == EBUSY)
            break;
    }
    if (err != 0)
        throw cannot_bind(device, queue, native, settings, err);
    xdp_options granted{};
    socklen_t size = sizeof granted;
    if (::getsockopt(fd_.get(), SOL_XDP, XDP_OPTIONS, &granted, &size) != 0)
        throw Error::from_errno("asking for the mode that was granted", errno);
    zero_copy_ = (granted.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

void Socket::wake() noexcept { ::recvfrom(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr); }

bool Socket::statistics(xdp_statistics& into) const noexcept {
    socklen_t size = sizeof into;
    return ::getsockopt(fd_.get(), SOL_XDP, XDP_STATISTICS, &into, &size) == 0;
}

void Socket::close() noexcept {
    received_.unmap(fork_guard_.in_child());
    fill_.unmap(fork_guard_.in_child());
    fd_.reset();
}

} // namespace wirepath::af_xdp
