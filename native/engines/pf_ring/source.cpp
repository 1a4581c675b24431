// SPDX-License-Identifier: Apache-2.0
#include "engines/pf_ring/source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/if_packet.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "core/error.hpp"
#include "filter/filter.hpp"

namespace wirepath::pf_ring {
namespace {

using std::chrono::nanoseconds;
using Steady = std::chrono::steady_clock;

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;
constexpr std::uint32_t pool_buffers = 64;
constexpr nanoseconds look_again = std::chrono::milliseconds(10);
constexpr nanoseconds look_often = std::chrono::milliseconds(1); // where nothing tells of packets

timespec to_timespec(nanoseconds time) { return {time.count() / 1'000'000'000, time.count() % 1'000'000'000}; }

std::int64_t now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// What was admitted by the filter of before is in the ring then.
void wait_for_packets_under_way() noexcept { ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); }

std::uint32_t open_flags(const Settings& settings) {
    return settings.target.zero_copy ? open_timestamp | (settings.promisc ? open_promisc : 0U) : 0U;
}

} // namespace

Device::Device(const Settings& settings, const Module& module)
    : control_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      netdevice_(netdevice_named(control_.get(), settings.target.interface)) {
    if (linktype_of_hardware(netdevice_.hardware_type) != linktype_ethernet)
        throw Error(Code::unsupported, "capturing from " + netdevice_.name + " by pf_ring", 0,
                    "It is not an Ethernet interface: use the engine tpacket_v3");
    if (!netdevice_.up())
        throw Error(Code::gone, "capturing from " + netdevice_.name, ENETDOWN,
                    "Bring it up first: ip link set " + netdevice_.name + " up");
    if (settings.direction == Direction::out && !module.parameter_is_set("enable_tx_capture"))
        throw Error(Code::unsupported, "capturing what this host sends by pf_ring", 0,
                    "The module was loaded with enable_tx_capture=0");
    timestamps_.enable(control_.get(), netdevice_.name, settings.clock);
    if (settings.promisc && !settings.target.zero_copy)
        be_promiscuous();
}

Device::~Device() { timestamps_.restore(control_.get()); }

Interface Device::interface(const Settings& settings) const {
    Interface row;
    row.name = netdevice_.name;
    row.ifindex = static_cast<std::uint32_t>(netdevice_.ifindex);
    row.snaplen = settings.snaplen;
    row.clock = settings.clock;
    row.mac = netdevice_.mac;
    row.speed_bps = netdevice_.speed_bps;
    row.hardware = netdevice_.driver;
    return row;
}

// Not by the library: the kernel takes a packet socket's back by itself, and counts who else wants it.
void Device::be_promiscuous() {
    promiscuity_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    packet_mreq request{};
    request.mr_ifindex = netdevice_.ifindex;
    request.mr_type = PACKET_MR_PROMISC;
    if (!promiscuity_ ||
        ::setsockopt(promiscuity_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0)
        throw Error::from_errno("putting " + netdevice_.name + " into promiscuous mode", errno,
                                "This needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw,+net_admin");
}

RingSource::RingSource(const Library& library, const Module& module, std::shared_ptr<Device> device,
                       const Settings& settings, const std::string& channels, std::uint16_t queue, Info info)
    : device_(std::move(device)), netdevice_(device_->netdevice()),
      ring_(library, module, settings.target, settings.target.device(channels), settings.snaplen, open_flags(settings)),
      ring_file_(module.ring_file(netdevice_.name, library.get_ring_id(ring_.get()))), info_(std::move(info)),
      pool_(pool_buffers, buffer_bytes), snaplen_(settings.snaplen), zero_copy_(settings.target.zero_copy),
      tells_direction_(!zero_copy_ && !module.parameter_is_set("quick_mode")),
      host_clock_(settings.clock == Clock::host), wakes_late_(settings.watermark > 1) {
    library.set_socket_mode(ring_.get(), SocketMode::receive_only);
    library.set_poll_watermark(ring_.get(), settings.watermark);
    if (!zero_copy_ && library.set_direction(ring_.get(), static_cast<int>(settings.direction)) != 0)
        throw Error::from_errno("choosing a direction on " + netdevice_.name, errno);
    info_.queue = queue;
    info_.fd = ring_.fd();
}

void RingSource::start() {
    const std::lock_guard lock(mutex_);
    ring_.enable();
    settled_generation_ = generation_.load(std::memory_order_relaxed);
}

// The module passes over a program of one instruction, "all" or "none", and keeps the one before.
bool RingSource::filter_in_kernel(const Filter& filter) noexcept {
    const Library& library = ring_.library();
    if (zero_copy_ || filter.program().size() < 2 || library.set_bpf_filter(ring_.get(), filter.text().c_str()) != 0)
        return false;
    // Where the kernel refuses, the library filters by itself, and does not say so.
    const auto ring = read_ring_file(ring_file_.get());
    return ring && ring->filtered;
}

Place RingSource::set_filter(std::shared_ptr<const Filter> filter) {
    const std::lock_guard lock(mutex_);
    if (stopped_ || ring_.in_child())
        throw Error(Code::closed, "setting a filter: the capture of " + netdevice_.name +
                                      (stopped_ ? " has ended" : " belongs to the parent process"));
    const bool admitted_less = kernel_filters_;
    kernel_filters_ = filter != nullptr && filter_in_kernel(*filter);
    if (!kernel_filters_ && !zero_copy_)
        ring_.library().remove_bpf_filter(ring_.get());
    if (kernel_filters_ || admitted_less)
        wait_for_packets_under_way();
    generation_.fetch_add(1, std::memory_order_release);
    return filter == nullptr ? Place::none : kernel_filters_ ? Place::kernel : Place::pipeline;
}

Status RingSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (ring_.in_child())
        return failed(Error(Code::closed, "receiving: this capture belongs to the parent process"));
    if (interrupt_.take())
        return Status::interrupted;
    if (!take_buffer())
        return failed(Error(Code::no_buffer, "receiving: every buffer is held by batches that are still in use", 0,
                            "Let go of them, or keep copies: batch.copy()"),
                      Status::no_buffer);
    const auto start = Steady::now();
    for (auto left = timeout;;) {
        Status status = drain(into);
        if (status == Status::timeout)
            status = wait(left);
        else
            return status;
        if (status != Status::ok)
            return status;
        if (timeout.count() >= 0)
            left = std::max(nanoseconds(0), nanoseconds(timeout - (Steady::now() - start)));
    }
}

bool RingSource::take_buffer() noexcept {
    if (buffer_.data != nullptr)
        return true;
    used_ = 0;
    return pool_.take(buffer_);
}

// timeout: nothing is there.
Status RingSource::drain(Batch& into) noexcept {
    const std::lock_guard lock(mutex_);
    if (stopped_)
        return failed(Error(Code::closed, "receiving: the capture of " + netdevice_.name + " has ended"));
    into.begin(buffer_.data + used_, buffer_.size - used_, buffer_.lease);
    const std::uint32_t generation = generation_.load(std::memory_order_relaxed);
    batch_generation_ = settled_generation_;
    const bool whole = fill(into);
    if (!whole)
        settled_generation_ = generation; // the ring was empty: what comes now met the filter of now
    if (buffer_.size - used_ < snaplen_)
        buffer_ = {};
    if (!into.empty())
        return Status::ok;
    into.release();
    return Status::timeout;
}

// False: the ring is empty.
bool RingSource::fill(Batch& into) noexcept {
    std::uint64_t bytes = 0;
    bool empty = false;
    while (!into.full() && buffer_.size - used_ >= snaplen_) {
        unsigned char* data = nullptr;
        if (ring_.library().recv(ring_.get(), &data, 0, header_.data(), 0) != 1) {
            empty = true;
            break;
        }
        Header header;
        std::memcpy(&header, header_.data(), sizeof header);
        const Packet packet = take(header, data);
        bytes += packet.data.size();
        into.push(packet);
    }
    taken_ += into.size();
    received_.add(into.size());
    received_bytes_.add(bytes);
    return !empty;
}

Packet RingSource::take(const Header& header, const unsigned char* data) noexcept {
    const std::size_t caplen = std::min(header.caplen, snaplen_);
    std::byte* at = buffer_.data + used_;
    copy_payload(at, {reinterpret_cast<const std::byte*>(data), caplen}, copied_);
    used_ += caplen;
    Packet packet;
    packet.data = {at, caplen};
    packet.origlen = header.origlen;
    packet.ts =
        header.ts_ns != 0 ? static_cast<std::int64_t>(header.ts_ns) : header.ts_s * 1'000'000'000 + header.ts_us * 1000;
    if (packet.ts == 0)
        packet.ts = now_ns();
    packet.interface = info_.interface;
    packet.queue = info_.queue;
    packet.flags = flags_of(header, packet.data);
    return packet;
}

std::uint16_t RingSource::flags_of(const Header& header, std::span<const std::byte> data) const noexcept {
    static constexpr unsigned char everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    unsigned flags = 0;
    if ((header.flags & header_checksum_ok) != 0)
        flags |= flag_csum_valid;
    // Beside the NIC's own time, if it gave one, stands the kernel's.
    const std::uint64_t kernel_us =
        static_cast<std::uint64_t>(header.ts_s) * 1'000'000 + static_cast<std::uint64_t>(header.ts_us);
    if (!host_clock_ && header.ts_ns != 0 && header.ts_ns / 1000 != kernel_us)
        flags |= flag_ts_hardware;
    if (tells_direction_ && header.inbound == 0)
        return static_cast<std::uint16_t>(flags | flag_outbound);
    if (tells_direction_ || zero_copy_)
        flags |= flag_inbound;
    if (data.size() < sizeof everyone)
        return static_cast<std::uint16_t>(flags);
    if (std::memcmp(data.data(), everyone, sizeof everyone) == 0)
        flags |= flag_broadcast;
    else if ((data[0] & std::byte{1}) != std::byte{0})
        flags |= flag_multicast;
    else if (netdevice_.mac.size() == sizeof everyone &&
             std::memcmp(data.data(), netdevice_.mac.data(), sizeof everyone) != 0)
        flags |= flag_other_host;
    return static_cast<std::uint16_t>(flags);
}

// ok: look again.
Status RingSource::wait(nanoseconds timeout) noexcept {
    if (link_gone_)
        return check_link();
    const nanoseconds slice = info_.fd < 0 ? look_often : look_again;
    const bool cut = (info_.fd < 0 || wakes_late_) && (timeout.count() < 0 || timeout > slice);
    pollfd fds[] = {{interrupt_.fd(), POLLIN, 0}, {info_.fd, POLLIN, 0}, {link_watch_.fd(), POLLIN, 0}};
    const timespec limit = to_timespec(cut ? slice : timeout);
    if (timeout.count() != 0)
        waits_.add(1);
    const int ready = ::ppoll(fds, std::size(fds), timeout.count() < 0 && !cut ? nullptr : &limit, nullptr);
    if (ready == 0)
        return cut ? Status::ok : Status::timeout;
    if (ready < 0)
        return errno == EINTR ? Status::timeout
                              : failed(Error::from_errno("waiting for packets on " + netdevice_.name, errno));
    if (fds[0].revents != 0 && interrupt_.take_readable())
        return Status::interrupted;
    if (fds[2].revents == 0 && (fds[1].revents & ~POLLIN) == 0)
        return Status::ok;
    link_watch_.drain();
    return check_link();
}

// The ring itself does not tell. What is still in it comes first: ok, and the next time gone.
Status RingSource::check_link() noexcept {
    const std::string name = netdevice_name(link_watch_.fd(), netdevice_.ifindex);
    const bool gone_before = link_gone_;
    link_gone_ = name.empty() || !netdevice_is_up(link_watch_.fd(), name);
    if (!link_gone_ || !gone_before)
        return Status::ok;
    return failed(
        name.empty()
            ? Error(Code::gone, "capturing from " + netdevice_.name, ENODEV, "The interface is not there any more")
            : Error(Code::gone, "capturing from " + name, ENETDOWN, "The interface was brought down"),
        Status::gone);
}

// PF_RING counts in the ring and tells of it in two places; we count what we took. While nobody receives, all agree.
void RingSource::compare_counts() noexcept {
    Counts before{}, after{};
    if (!ring_.counts(before))
        return;
    std::optional<RingFile> file;
    try {
        file = read_ring_file(ring_file_.get());
    } catch (const std::bad_alloc&) {
        file.reset();
    }
    if (!ring_.counts(after))
        return;
    const auto between = [](std::uint64_t low, std::uint64_t value, std::uint64_t high) {
        return low <= value && value <= high;
    };
    const bool agree = !file || (between(before.received, file->read, after.received) &&
                                 between(before.dropped, file->lost, after.dropped));
    counts_agree_ = agree && (zero_copy_ || before.received == taken_);
    last_ = after;
}

void RingSource::stop() noexcept {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true))
        return;
    buffer_ = {};
    if (!ring_.in_child())
        compare_counts();
    ring_.close();
    ring_file_.reset();
    device_.reset();
}

Stats RingSource::stats() {
    const std::lock_guard lock(mutex_);
    if (!stopped_ && !ring_.in_child())
        compare_counts();
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    if (counts_agree_)
        stats.dropped_ring = last_.dropped;
    stats.dropped_fill = 0;
    stats.ring_freezes = 0;
    stats.copied = copied_.packets.get();
    stats.copied_bytes = copied_.bytes.get();
    stats.waits = waits_.get();
    return stats;
}

} // namespace wirepath::pf_ring
