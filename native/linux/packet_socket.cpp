// SPDX-License-Identifier: Apache-2.0
#include "linux/packet_socket.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "filter/cooked.hpp"
#include "filter/filter.hpp"
#include "filter/kernel_meaning.hpp"
#include "linux/packets_under_way.hpp"

namespace wirepath {
namespace {

constexpr std::uint32_t unlimited = 262144;
constexpr std::uint32_t loopback_ifindex = 1; // in every network namespace
constexpr auto forever = UINT64_MAX;
const char* const remedy = "needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw,+net_admin";

Fd open_socket(int type) {
    Fd fd(::socket(AF_PACKET, type | SOCK_CLOEXEC, 0)); // protocol 0: nothing comes in before it is bound
    if (!fd)
        throw Error::from_errno("opening a packet socket", errno, errno == EPERM ? remedy : "");
    return fd;
}

void load_ancillary(std::vector<sock_filter>& code, int which) {
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + which)));
}
void accept_if_equal(std::vector<sock_filter>& code, std::uint32_t value, bool equal) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, std::uint8_t(equal), std::uint8_t(!equal)));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
}

} // namespace

CookedHeader cooked_header(const sockaddr_ll& from) noexcept {
    CookedHeader header{};
    header.protocol = from.sll_protocol;
    header.ifindex = htonl(static_cast<std::uint32_t>(from.sll_ifindex));
    header.hardware_type = htons(from.sll_hatype);
    header.packet_type = from.sll_pkttype;
    header.address_length = from.sll_halen;
    std::copy(std::begin(from.sll_addr), std::end(from.sll_addr), header.address);
    return header;
}

PacketSocket::PacketSocket(const OpenRequest& request, const Options& options)
    : clock_(clock_named(options.text("timestamps"))),
      snaplen_(request.snaplen == 0 ? unlimited : std::min(request.snaplen, unlimited)) {
    fd_ = open_socket(SOCK_RAW);
    if (request.target == "any")
        device_.name = "any";
    else
        device_ = netdevice_named(fd(), request.target);
    cooked_ = device_.ifindex == 0 || linktype_of_hardware(device_.hardware_type) == 0;
    if (cooked_)
        fd_ = open_socket(SOCK_DGRAM);
    promisc_ = request.promisc && device_.ifindex != 0;
    choose_direction(options.text("direction"));
    if (clock_ != Clock::host && device_.ifindex == 0)
        throw Error(Code::bad_option, "timestamps of an adapter need one interface, not any");
    timestamps_.enable(fd(), device_.name, clock_);
    attached_ = program({});
}

void PacketSocket::choose_direction(const std::string& direction) {
    direction_ = direction == "in" ? Direction::in : direction == "out" ? Direction::out : Direction::inout;
    // What is sent to lo comes back: seen once is enough, unless it is asked for.
    const bool ignore = direction_ == Direction::in || (direction_ == Direction::inout && device_.loopback());
    const int on = 1;
    if (ignore && ::setsockopt(fd(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0)
        ignores_outgoing_ = true;
    else if (ignore)
        direction_ = Direction::in; // before Linux 4.20: the filter does it
}

void PacketSocket::set_bytes(int option, const void* value, unsigned size, const char* doing) {
    if (::setsockopt(fd(), SOL_PACKET, option, value, size) != 0)
        throw Error::from_errno(std::string(doing) + " on " + device_.name, errno);
}

Interface PacketSocket::interface() const {
    Interface row;
    row.name = device_.name;
    row.ifindex = static_cast<std::uint32_t>(device_.ifindex);
    row.linktype = cooked_ ? linktype_linux_sll2 : linktype_of_hardware(device_.hardware_type);
    row.snaplen = snaplen_;
    row.clock = clock_;
    row.hardware = device_.driver;
    row.speed_bps = device_.speed_bps;
    row.mac = device_.mac;
    return row;
}

void PacketSocket::describe(Info& info) const {
    info.fd = fd();
    info.granted.push_back({"timestamps", name_of(clock_), name_of(clock_)});
    if (device_.gro || device_.lro)
        info.notes.push_back(std::string(device_.lro ? "LRO" : "GRO") +
                             " is on: packets may be merged before they are "
                             "captured (ethtool -K " +
                             device_.name + (device_.lro ? " lro off)" : " gro off)"));
    if (device_.loopback() && ignores_outgoing_)
        info.notes.push_back("each packet of the loopback interface is shown once, as it comes in");
    if (device_.ifindex == 0)
        info.notes.push_back("any: interfaces are not put into promiscuous mode");
}

// The user's filter behind what the direction asks for. An empty program is none at all: the fastest.
std::vector<sock_filter> PacketSocket::program(std::span<const Instruction> filter) const {
    const std::uint32_t header = cooked_ ? sizeof(CookedHeader) : 0;
    const std::uint32_t kept = snaplen_ > header ? snaplen_ - header : 1; // 0 would reject the packet
    std::vector<sock_filter> code;
    const bool select_in = direction_ == Direction::in && !ignores_outgoing_;
    if (direction_ == Direction::out || select_in) {
        load_ancillary(code, SKF_AD_PKTTYPE);
        accept_if_equal(code, PACKET_OUTGOING, direction_ == Direction::out);
    } else if (device_.ifindex == 0 && direction_ == Direction::inout) {
        load_ancillary(code, SKF_AD_PKTTYPE);
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 3));
        load_ancillary(code, SKF_AD_IFINDEX);
        accept_if_equal(code, loopback_ifindex, false);
    }
    for (const Instruction& i : filter) {
        const bool accepts = i.code == (BPF_RET | BPF_K) && i.k != 0;
        code.push_back({i.code, i.jt, i.jf, accepts ? kept : i.k});
    }
    if (filter.empty() && (!code.empty() || snaplen_ < unlimited))
        code.push_back(BPF_STMT(BPF_RET | BPF_K, kept));
    return code;
}

bool PacketSocket::attach(std::vector<sock_filter>& program) noexcept {
    const int ignored = 0; // but the kernel wants one
    if (program.empty())
        return ::setsockopt(fd(), SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored) == 0 || errno == ENOENT;
    if (program.size() > BPF_MAXINSNS)
        return false;
    const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
    return ::setsockopt(fd(), SOL_SOCKET, SO_ATTACH_FILTER, &whole, sizeof whole) == 0;
}

void PacketSocket::attach_or_throw(std::vector<sock_filter>& program) {
    if (!attach(program))
        throw Error::from_errno("attaching a filter on " + device_.name, errno);
}

// False: the kernel cannot run it, or not as it is meant.
bool PacketSocket::attach_filter(const Filter& filter) {
    std::optional<std::vector<Instruction>> code;
    if (kernel_may_differ(filter.program()))
        return false;
    if (cooked_)
        code = without_cooked_header(filter.program());
    else
        code.emplace(filter.program().begin(), filter.program().end());
    if (!code)
        return false;
    std::vector<sock_filter> whole = program(*code);
    if (!attach(whole))
        return false;
    attached_ = std::move(whole);
    return true;
}

Place PacketSocket::set_filter(const std::shared_ptr<const Filter>& filter) {
    const std::lock_guard lock(mutex_);
    if (!fd_ || in_child())
        throw Error(Code::closed, "setting a filter: the capture of " + device_.name +
                                      (fd_ ? " belongs to the parent process" : " has ended"));
    settled_after_.store(forever, std::memory_order_release);
    const bool in_kernel = filter != nullptr && attach_filter(*filter);
    if (!in_kernel) {
        attached_ = program({});
        attach_or_throw(attached_);
    }
    if (started_) {
        wait_for_packets_under_way();
        read_counts();
    }
    settled_after_.store(counts_.admitted, std::memory_order_release);
    return filter == nullptr ? Place::none : in_kernel ? Place::kernel : Place::pipeline;
}

void PacketSocket::bind() {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = device_.ifindex;
    if (::bind(fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw Error::from_errno("binding to " + device_.name, errno);
    if (const int error = take_error(); error != 0)
        throw Error::from_errno("capturing on " + device_.name, error,
                                error == ENETDOWN ? "It is down. Bring it up with: ip link set " + device_.name + " up"
                                                  : "");
}

void PacketSocket::start(const std::function<void()>& joining) {
    const std::lock_guard lock(mutex_);
    // A socket that is bound, but not yet in its fanout group, gets what the others get, too: it rejects that.
    std::vector<sock_filter> reject_all{BPF_STMT(BPF_RET | BPF_K, 0)};
    attach_or_throw(joining ? reject_all : attached_);
    if (promisc_) {
        packet_mreq membership{};
        membership.mr_ifindex = device_.ifindex;
        membership.mr_type = PACKET_MR_PROMISC;
        set(PACKET_ADD_MEMBERSHIP, membership, "turning promiscuous mode on");
    }
    bind();
    if (joining) {
        joining();
        attach_or_throw(attached_);
    }
    started_ = true;
}

void PacketSocket::close() noexcept {
    const std::lock_guard lock(mutex_);
    if (!fd_)
        return;
    if (!in_child()) {
        read_counts();
        timestamps_.restore(fd());
        if (promisc_ && started_) { // closing alone would not do while something still maps the socket's ring
            packet_mreq membership{};
            membership.mr_ifindex = device_.ifindex;
            membership.mr_type = PACKET_MR_PROMISC;
            ::setsockopt(fd(), SOL_PACKET, PACKET_DROP_MEMBERSHIP, &membership, sizeof membership);
        }
    }
    started_ = false;
    fd_.reset();
}

void PacketSocket::read_counts() noexcept {
    tpacket_stats_v3 kernel{}; // without a ring the kernel fills the first two numbers only
    socklen_t size = sizeof kernel;
    if (!fd_ || in_child() || ::getsockopt(fd(), SOL_PACKET, PACKET_STATISTICS, &kernel, &size) != 0)
        return;
    counts_.admitted += kernel.tp_packets - kernel.tp_drops; // the kernel's tp_packets has the drops in it
    counts_.dropped += kernel.tp_drops;
    counts_.freezes += kernel.tp_freeze_q_cnt;
}

PacketSocket::Counts PacketSocket::counts() noexcept {
    const std::lock_guard lock(mutex_);
    read_counts();
    return counts_;
}

int PacketSocket::take_error() noexcept {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Error PacketSocket::why_gone() const {
    const std::string name = netdevice_name(fd(), device_.ifindex);
    if (name.empty())
        return Error(Code::gone, "the interface " + device_.name + " has disappeared");
    const std::string known_as = name == device_.name ? name : name + " (it was " + device_.name + ")";
    if (!netdevice_is_up(fd(), name))
        return Error(Code::gone, "the interface " + known_as + " went down", 0,
                     "Bring it up with: ip link set " + name + " up");
    return Error(Code::gone, "the interface " + known_as + " went down for a moment: packets may have been missed");
}

Probe probe_packet_socket() {
    const Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (fd)
        return {true, ""};
    if (errno == EPERM)
        return {false, remedy};
    return {false, Error::from_errno("this kernel has no packet sockets", errno).what()};
}

} // namespace wirepath
