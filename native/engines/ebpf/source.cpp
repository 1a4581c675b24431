// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>

#include "linux/packets_under_way.hpp"

namespace wirepath::ebpf {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::uint32_t flow = 64; // packets that gather show that more will come
constexpr nanoseconds shortest_gather = std::chrono::microseconds(20);

std::vector<Device> devices_named(const Settings& settings) {
    std::vector<Device> devices;
    for (const std::string& name : settings.interfaces)
        devices.push_back(Device::named(name, settings.hook));
    const auto linktype = [](const Device& device) { return linktype_of_hardware(device.hardware_type); };
    for (const Device& device : devices)
        if (linktype(device) != linktype(devices.front()))
            throw Error(Code::bad_option, "capturing from " + device.name + " and " + devices.front().name, 0,
                        "Interfaces of different kinds cannot share a ring: open them one by one");
    return devices;
}

// For frames without metadata of their own: what the address says.
std::uint16_t flags_of_address(const std::byte* data, const std::array<std::byte, 6>& own) {
    static constexpr unsigned char everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (std::memcmp(data, own.data(), own.size()) == 0)
        return 0;
    if ((data[0] & std::byte{1}) == std::byte{0})
        return flag_other_host;
    return std::memcmp(data, everyone, 6) == 0 ? flag_broadcast : flag_multicast;
}

timespec to_timespec(nanoseconds time) { return {time.count() / 1'000'000'000, time.count() % 1'000'000'000}; }

} // namespace

RingSource::RingSource(const OpenRequest& request, const Settings& settings)
    : settings_(settings), devices_(devices_named(settings)), program_(devices_, settings),
      ring_(program_.map_blocks(), program_.free(), program_.cpus(), program_.cpu_count(), settings.geometry),
      bell_(program_.bell(), program_.armed()), gather_(settings.gather) {
    info_.engine = "ebpf";
    info_.interfaces = request.interfaces;
    info_.fd = bell_.fd();
    info_.takes_packets = settings.mode == Mode::take;
    extras_ = extra_bit(Extra::hook);
    if (!settings.program.empty())
        extras_ |= extra_bit(Extra::mark);
    if (settings.process)
        extras_ |= extra_bit(Extra::pid) | extra_bit(Extra::netns);
    add_interfaces(*request.interfaces);
    if (program_.processes())
        request.interfaces->set_processes(program_.processes());
}

void RingSource::add_interfaces(InterfaceTable& table) {
    for (const Device& device : devices_) {
        Interface interface;
        interface.name = device.name;
        interface.ifindex = static_cast<std::uint32_t>(device.ifindex);
        interface.linktype = linktype_of_hardware(device.hardware_type);
        interface.snaplen = settings_.snaplen;
        interface.mac = device.mac;
        interface.speed_bps = device.speed_bps;
        interface.hardware = device.driver;
        Tapped tapped{interface.ifindex, 0, interface.linktype == linktype_ethernet, {}, device.longest_packet()};
        std::memcpy(tapped.mac.data(), device.mac.data(), std::min(tapped.mac.size(), device.mac.size()));
        tapped.row = table.add(std::move(interface));
        tapped_.push_back(tapped);
    }
    info_.interface = tapped_.front().row;
}

void RingSource::start() {
    const std::lock_guard lock(changing_);
    program_.attach();
    started_ = true;
    describe();
}

void RingSource::describe() {
    const bool take = settings_.mode == Mode::take;
    info_.mode = std::string(take ? "take" : "tap") + ", " + program_.place();
    info_.granted = program_.granted();
    info_.notes = program_.notes();
    if (take)
        info_.notes.push_back("what is captured does not reach this host's network stack" +
                              std::string(settings_.program.empty() ? "" : ", unless the program says WIREPATH_TAP"));
    else if (!settings_.program.empty())
        info_.notes.push_back("the program chooses what is captured, and the network stack gets every packet: with "
                              "mode=take it chooses that, too");
    for (const Device& device : devices_)
        if (settings_.hook == Hook::tc && (device.gro || device.lro))
            info_.notes.push_back(std::string(device.lro ? "LRO" : "GRO") +
                                  " is on: packets may be merged before they are captured (ethtool -K " + device.name +
                                  (device.lro ? " lro off)" : " gro off)"));
}

// What takes packets must not take others than those that it was told to, so it has no filter but its own; and a
// program of the user's must see no others.
Place RingSource::put_filter(const Filter* filter) {
    try {
        program_.set_filter(filter);
    } catch (const Error& error) {
        if (filter == nullptr || error.code() != Code::unsupported || settings_.mode == Mode::take ||
            !settings_.program.empty())
            throw;
        program_.set_filter(nullptr);
        return Place::pipeline;
    }
    return filter == nullptr ? Place::none : settings_.hook == Hook::xdp ? Place::xdp : Place::kernel;
}

Place RingSource::set_filter(std::shared_ptr<const Filter> filter) {
    const std::lock_guard lock(changing_);
    if (stopped_ || fork_guard_.in_child())
        throw Error(Code::closed, "setting a filter: the capture of " + devices_.front().name +
                                      (stopped_ ? " has ended" : " belongs to the parent process"));
    const std::uint64_t before = settled_after_.exchange(UINT64_MAX, std::memory_order_acq_rel);
    try {
        const Place place = put_filter(filter.get());
        if (started_)
            wait_for_packets_under_way();
        settled_after_.store(UnixTime::monotonic(), std::memory_order_release);
        return place;
    } catch (const Error&) {
        settled_after_.store(before, std::memory_order_release);
        throw;
    }
}

Status RingSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (stopped_)
        return failed(Error(Code::closed, "receiving from " + devices_.front().name, 0, "The source was stopped"));
    if (fork_guard_.in_child())
        return failed(Error(Code::closed, "receiving: this capture belongs to the parent process"));
    if (interrupt_.take())
        return Status::interrupted;
    const auto start = Steady::now();
    for (auto left = timeout;;) {
        ring_.collect();
        if (const Status status = wait_for_packets(left); status != Status::ok)
            return status;
        const Status status = deliver(into);
        if (status != Status::timeout) // else all that is there came after we looked at the clock
            return status;
        if (timeout.count() >= 0)
            left = std::max(nanoseconds(0), nanoseconds(timeout - (Steady::now() - start)));
    }
}

Status RingSource::wait_for_packets(nanoseconds timeout) noexcept {
    if (left_over_)
        return Status::ok;
    const auto deadline = Steady::now() + timeout;
    const nanoseconds longest = timeout.count() < 0 ? settings_.gather : std::min(settings_.gather, timeout);
    const bool gather_first = flowing_;
    if (gather_first)
        if (const Status status = gather(longest); status != Status::ok)
            return status;
    while (!ring_.pending()) {
        const nanoseconds left =
            timeout.count() < 0 ? timeout : std::max(nanoseconds(0), nanoseconds(deadline - Steady::now()));
        if (const Status status = sleep(left); status != Status::ok)
            return status;
    }
    return gather_first ? Status::ok : gather(longest);
}

// Waking up for every few packets would cost more than receiving them, and ringing the bell costs the programs. How
// long depends on what came the last time: the ring is not to get more than a quarter full.
Status RingSource::gather(nanoseconds limit) noexcept {
    limit = std::min(limit, gather_);
    const std::uint32_t blocks = settings_.geometry.blocks;
    if (limit.count() == 0 || ring_.waiting_blocks() >= std::max(1U, blocks / 8))
        return Status::ok;
    bell_.disarm();
    short unused = 0;
    waits_.add(1);
    const Status status = interrupt_.wait(-1, limit, unused);
    const std::uint32_t there = ring_.waiting_blocks();
    if (there > blocks / 4)
        gather_ = std::min(std::max<nanoseconds>(gather_ / 2, shortest_gather), settings_.gather);
    else if (there < blocks / 16 + 1)
        gather_ = std::min(gather_ * 2, settings_.gather);
    return status == Status::timeout ? Status::ok : status;
}

// ok: look again.
Status RingSource::sleep(nanoseconds timeout) noexcept {
    if (link_gone_)
        return check_links();
    bell_.arm();
    if (ring_.pending())
        return Status::ok;
    pollfd fds[] = {{interrupt_.fd(), POLLIN, 0}, {bell_.fd(), POLLIN, 0}, {link_watch_.fd(), POLLIN, 0}};
    const timespec limit = to_timespec(timeout);
    waits_.add(timeout.count() != 0);
    const int ready = ::ppoll(fds, std::size(fds), timeout.count() < 0 ? nullptr : &limit, nullptr);
    if (ready > 0 && fds[0].revents != 0 && interrupt_.take_readable())
        return Status::interrupted;
    return after_sleep(ready, fds[2].revents);
}

Status RingSource::after_sleep(int ready, short link_events) noexcept {
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return Status::timeout;
    if (ready < 0)
        return failed(Error::from_errno("waiting for packets on " + devices_.front().name, errno));
    if (link_events == 0)
        return Status::ok;
    link_watch_.drain();
    return check_links();
}

Status RingSource::check_links() noexcept {
    for (const Device& device : devices_) {
        const std::string name = netdevice_name(link_watch_.fd(), device.ifindex);
        link_gone_ = name.empty() || !netdevice_is_up(link_watch_.fd(), name);
        if (name.empty())
            return failed(
                Error(Code::gone, "capturing from " + device.name, ENODEV, "The interface is not there any more"),
                Status::gone);
        if (link_gone_)
            return failed(Error(Code::gone, "capturing from " + name, ENETDOWN, "The interface was brought down"),
                          Status::gone);
    }
    return Status::ok;
}

Status RingSource::deliver(Batch& into) noexcept {
    clock_.measure();
    const Status status = ring_.deliver(into, UnixTime::monotonic(), Describe{*this, extras_});
    if (status == Status::no_buffer)
        return failed(Error(Code::no_buffer, "receiving from " + devices_.front().name, 0,
                            "Views of earlier batches hold all the memory there is: let go of them, or raise block_nr"),
                      status);
    left_over_ = status == Status::ok && ring_.waiting_blocks() != 0;
    if (status != Status::ok)
        return status;
    flowing_ = into.size() >= flow;
    first_of_batch_ = clock_.monotonic_ns(into.columns()->ts[0]);
    count(into);
    return status;
}

const RingSource::Tapped& RingSource::tapped(std::uint32_t ifindex) const noexcept {
    for (const Tapped& one : tapped_)
        if (one.ifindex == ifindex)
            return one;
    return tapped_.front();
}

void RingSource::Describe::add_extras(Batch& into, std::uint32_t row, const record& from) const noexcept {
    into.set_extra(Extra::hook, row, from.hook);
    if ((extras & extra_bit(Extra::mark)) != 0)
        into.set_extra(Extra::mark, row, from.mark);
    if ((extras & extra_bit(Extra::pid)) != 0) {
        into.set_extra(Extra::pid, row, from.pid);
        into.set_extra(Extra::netns, row, from.netns);
    }
}

Packet RingSource::describe_packet(const record& from) const noexcept {
    Packet packet;
    packet.origlen = from.origlen;
    packet.ts = clock_.unix_ns(from.ts_monotonic_ns);
    packet.interface = tapped(from.ifindex).row;
    packet.queue = from.queue;
    packet.vlan_tci = from.vlan_tci;
    packet.vlan_tpid = from.vlan_tpid;
    packet.flags = flags_of(from);
    return packet;
}

std::uint16_t RingSource::flags_of(const record& from) const noexcept {
    static constexpr std::uint16_t of_type[] = {0, flag_broadcast, flag_multicast, flag_other_host};
    const auto bit = [](bool set, Flag flag) { return set ? static_cast<unsigned>(flag) : 0U; };
    if ((from.bits & record_outbound) != 0)
        return static_cast<std::uint16_t>(flag_outbound | bit((from.bits & record_gso) != 0, flag_gso));
    unsigned flags = flag_inbound | bit((from.bits & record_gso) != 0, flag_gso);
    if (from.hook == record_hook_tc)
        return static_cast<std::uint16_t>(flags | of_type[from.bits >> record_type_shift & record_type_mask]);
    const Tapped& device = tapped(from.ifindex);
    flags |= bit(from.origlen > device.longest_packet, flag_gso);
    if (from.caplen >= device.mac.size())
        flags |= flags_of_address(reinterpret_cast<const std::byte*>(&from + 1), device.mac);
    return static_cast<std::uint16_t>(flags);
}

void RingSource::count(const Batch& batch) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t row = 0; row < batch.size(); ++row)
        bytes += batch.columns()->caplen[row];
    received_.add(batch.size());
    received_bytes_.add(bytes);
}

// Leases outlive this: they hold memory of our own, and nothing of the kernel's.
void RingSource::stop() noexcept {
    const std::lock_guard lock(changing_);
    if (std::exchange(stopped_, true))
        return;
    program_.detach();
    bell_.unmap(fork_guard_.in_child());
    if (!fork_guard_.in_child()) {
        last_ = program_.counts();
        ring_.leave();
    }
}

Stats RingSource::stats() {
    const std::lock_guard lock(changing_);
    if (!stopped_ && !fork_guard_.in_child())
        last_ = program_.counts();
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.filtered = last_.rejected;
    stats.dropped_ring = last_.lost;
    stats.dropped_fill = 0;
    stats.copied = ring_.copies().packets.get();
    stats.copied_bytes = ring_.copies().bytes.get();
    stats.waits = waits_.get();
    return stats;
}

} // namespace wirepath::ebpf
