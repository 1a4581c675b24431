// SPDX-License-Identifier: Apache-2.0
#define ALLOW_EXPERIMENTAL_API // rte_dev_dma_map
#include "engines/dpdk/plugin/port.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <set>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>

#include "engines/dpdk/plugin/log.hpp"

namespace wirepath::dpdk {
namespace {

std::mutex claiming;
std::set<std::string> claimed;
std::map<std::string, std::chrono::steady_clock::time_point> left; // when

NetDevice netdevice(const std::string& name) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return netdevice_named(socket.get(), name);
}

std::string name_in(const std::string& devargs) {
    const std::string name = devargs.substr(0, devargs.find(','));
    return name.starts_with("vdev:") ? name.substr(5) : name;
}

constexpr std::string_view no_mbuf = "rx_mbuf_allocation_errors"; // rx_nombuf, as it is called among xstats
constexpr std::size_t page_bytes = 4096;
constexpr const char* how_to_bind = "It must be bound to vfio-pci or uio_pci_generic: wirepath nic --bind vfio-pci ";

} // namespace

Claim::Claim(const NetDevice& device) {
    struct stat netns{};
    ::stat("/proc/thread-self/ns/net", &netns);
    what_ = std::to_string(netns.st_ino) + "/" + std::to_string(device.ifindex);
    const std::lock_guard lock(claiming);
    if (!claimed.insert(what_).second)
        throw Error(Code::busy, "opening " + device.name + " with DPDK", EBUSY,
                    "This process uses it with DPDK already, and its drivers take an interface once");
}

Claim::~Claim() {
    const std::lock_guard lock(claiming);
    claimed.erase(what_);
    left[what_] = std::chrono::steady_clock::now();
}

// The kernel takes an AF_XDP socket off its queue some time after it was closed. net_af_xdp should not find it there: a
// device of its that could not set up a queue can neither be closed nor tried again, and is left behind.
void Claim::wait_for_the_kernel() const {
    constexpr auto enough = std::chrono::milliseconds(300);
    std::unique_lock lock(claiming);
    const auto at = left.find(what_);
    const auto until = at != left.end() ? at->second + enough : std::chrono::steady_clock::time_point();
    lock.unlock();
    std::this_thread::sleep_until(until);
}

Port::Port(const Settings& settings)
    : settings_(settings), eal_(Eal::get(settings)), netns_("/proc/thread-self/ns/net") {
    const std::lock_guard lock(eal_.plugging());
    const QuietLibxdp quiet;
    for (int tries_left = 3;; --tries_left) {
        try {
            plug();
            configure();
            set_up_queues();
            return;
        } catch (...) {
            const bool again = std::exchange(broken_, false) && tries_left > 0;
            unplug();
            if (!again)
                throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
}

void Port::plug() {
    std::string devargs = settings_.target;
    if (settings_.kind == Kind::interface) {
        kernel_.emplace(netdevice(settings_.target));
        claim_.emplace(kernel_->device());
        if (settings_.driver == "net_af_xdp")
            claim_->wait_for_the_kernel();
        devargs = device_over(kernel_->device(), settings_);
    }
    const std::vector<int> before = open_descriptors();
    if (const int error = rte_dev_probe(devargs.c_str()); error != 0)
        throw dpdk_error(error == -EEXIST ? Code::busy : Code::system, "opening " + settings_.target + " with DPDK",
                         error, settings_.kind == Kind::pci ? how_to_bind + settings_.target : "");
    name_ = name_in(devargs);
    if (rte_eth_dev_get_port_by_name(name_.c_str(), &id_) != 0)
        throw dpdk_error(Code::unsupported, settings_.target + " is no network device to DPDK", 0);
    rte_eth_dev_info_get(id_, &info_);
    know_the_kernel();
    if (kernel_ && driver() == "net_af_packet")
        kernel_->find_sockets(before, info_.max_rx_queues);
}

// Of a virtual device that the user described, or of a NIC that DPDK shares with the kernel.
void Port::know_the_kernel() {
    char name[IF_NAMESIZE];
    if (!kernel_ && info_.if_index != 0 && ::if_indextoname(info_.if_index, name) != nullptr)
        kernel_.emplace(netdevice(name));
    if (kernel_ && !claim_)
        claim_.emplace(kernel_->device());
}

void Port::configure() {
    plan_ = plan_for(settings_, info_, kernel_ ? kernel_->device().mtu : 0);
    if (settings_.wait == Wait::interrupt && settings_.kind == Kind::pci)
        interrupts_ = try_configure(true);
    if (!interrupts_ && !try_configure(false))
        throw dpdk_error(Code::unsupported,
                         "configuring " + settings_.target + " with " + std::to_string(plan_.queues) + " queues",
                         rte_errno);
    rte_eth_dev_adjust_nb_rx_tx_desc(id_, &plan_.ring_size, &plan_.send_ring_size);
}

bool Port::try_configure(bool interrupts) {
    rte_eth_conf conf{}; // NOLINT(bugprone-invalid-enum-default-initialization): as DPDK has it
    conf.rxmode.offloads = plan_.offloads;
    conf.intr_conf.rxq = interrupts ? 1 : 0;
    if (settings_.kind == Kind::pci)
        conf.rxmode.mtu = plan_.mtu;
    if (plan_.rss != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = plan_.rss;
    }
    const std::uint16_t senders = std::min(plan_.queues, info_.max_tx_queues);
    return rte_eth_dev_configure(id_, plan_.queues, senders, &conf) == 0;
}

int Port::set_up_queue(std::uint16_t queue, int node) {
    rte_eth_rxconf conf = info_.default_rxconf;
    conf.offloads = plan_.offloads;
    return rte_eth_rx_queue_setup(id_, queue, plan_.ring_size, static_cast<unsigned>(node), &conf,
                                  mbufs_.back()->pool());
}

std::string Port::in_the_way() const {
    return driver() == "net_af_xdp" ? "Another program may have its XDP program or an AF_XDP socket there: ip link show"
                                    : "";
}

void Port::set_up_queues() {
    const std::vector<int> before = open_descriptors();
    const auto before_libxdp = libxdp_descriptors();
    const int node = rte_eth_dev_socket_id(id_);
    for (std::uint16_t queue = 0; queue < plan_.queues; ++queue) {
        mbufs_.push_back(std::make_shared<Mbufs>(plan_.mbufs, plan_.room, plan_.kept, eal_.physical_addresses()));
        let_it_reach(*mbufs_.back());
        const int error = set_up_queue(queue, node);
        if (error != 0 && driver() == "net_af_xdp")
            id_ = RTE_MAX_ETHPORTS, broken_ = true; // let be: its driver would free what it has freed already
        if (error != 0)
            throw dpdk_error(Code::system, "making receive queue " + std::to_string(queue) + " of " + settings_.target,
                             error, in_the_way());
    }
    for (std::uint16_t queue = 0; queue < std::min(plan_.queues, info_.max_tx_queues); ++queue)
        if (const int error =
                rte_eth_tx_queue_setup(id_, queue, plan_.send_ring_size, static_cast<unsigned>(node), nullptr);
            error != 0)
            throw dpdk_error(Code::system, "making send queue " + std::to_string(queue) + " of " + settings_.target,
                             error);
    if (kernel_ && driver() == "net_af_xdp") {
        kernel_->find_sockets(before, plan_.queues);
        libxdp_.note(before_libxdp);
    }
}

// Our memory is not DPDK's own: a device behind an IOMMU must be told of it.
void Port::let_it_reach(Mbufs& mbufs) {
    if (settings_.kind != Kind::pci || eal_.physical_addresses())
        return;
    const std::size_t bytes = mbufs.bytes();
    // DPDK takes the mapping of what it knows only. Where no address is given, one is like the other.
    if (rte_extmem_register(mbufs.base(), bytes, nullptr, 0, page_bytes) != 0)
        throw dpdk_error(Code::system, "telling DPDK of the memory of packets", rte_errno);
    if (rte_dev_dma_map(info_.device, mbufs.base(), reinterpret_cast<std::uintptr_t>(mbufs.base()), bytes) != 0)
        throw dpdk_error(Code::system, "giving " + settings_.target + " access to the memory of packets", rte_errno);
    reachable_.emplace_back(mbufs.base(), bytes);
}

int Port::interrupt_fd(std::uint16_t queue) const noexcept {
    return interrupts_ ? rte_eth_dev_rx_intr_ctl_q_get_fd(id_, queue) : -1;
}

Interface Port::interface() const {
    Interface row;
    row.name = kernel_ ? kernel_->device().name : name_;
    row.snaplen = settings_.snaplen;
    row.hardware = driver();
    row.linktype = driver() == "net_tun" ? linktype_raw_ip : linktype_ethernet;
    rte_ether_addr mac{};
    rte_eth_macaddr_get(id_, &mac);
    row.mac.assign(reinterpret_cast<const char*>(mac.addr_bytes), sizeof mac.addr_bytes);
    rte_eth_link link{};
    if (kernel_) {
        row.ifindex = static_cast<std::uint32_t>(kernel_->device().ifindex);
        row.speed_bps = kernel_->device().speed_bps;
    } else if (rte_eth_link_get_nowait(id_, &link) == 0 && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN) {
        row.speed_bps = std::uint64_t{link.link_speed} * 1'000'000;
    }
    return row;
}

void Port::start() {
    const std::lock_guard lock(eal_.plugging());
    if (started_)
        return;
    // Starting, the drivers bring the interface to what DPDK thinks of it: so it is told what the administrator set.
    const bool set = kernel_ && (kernel_->device().flags & IFF_PROMISC) != 0;
    const bool promisc = kernel_ ? set : settings_.promisc;
    if (promisc)
        rte_eth_promiscuous_enable(id_);
    started_ = true;
    if (const int error = rte_eth_dev_start(id_); error != 0)
        throw dpdk_error(Code::system, "starting " + settings_.target, error);
    if (kernel_ && settings_.promisc)
        kernel_->be_promiscuous();
    take_log();
}

void Port::forget_losses(std::uint16_t queue) {
    if (queue == 0)
        counters_before_ = read_counters();
    if (kernel_)
        kernel_->forget_losses(queue);
    else if (queue == 0)
        rte_eth_stats_get(id_, &before_);
}

std::vector<std::uint64_t> Port::read_counters() const {
    const int count = rte_eth_xstats_get(id_, nullptr, 0);
    std::vector<rte_eth_xstat> read(count > 0 ? static_cast<std::size_t>(count) : 0);
    std::vector<std::uint64_t> values(read.size());
    if (rte_eth_xstats_get(id_, read.data(), static_cast<unsigned>(read.size())) == count)
        for (const rte_eth_xstat& one : read)
            values.at(one.id) = one.value;
    return values;
}

std::vector<Observed> Port::counters() const {
    const std::vector<std::uint64_t> now = read_counters();
    std::vector<rte_eth_xstat_name> names(now.size());
    const int count = rte_eth_xstats_get_names(id_, names.data(), static_cast<unsigned>(names.size()));
    if (now.size() != counters_before_.size() || static_cast<std::size_t>(std::max(count, 0)) != now.size())
        return {};
    std::vector<Observed> list;
    for (std::size_t i = 0; i < now.size(); ++i) {
        const std::uint64_t grown = now[i] - counters_before_[i];
        if (grown != 0 || std::string_view(names[i].name) == no_mbuf)
            list.push_back(
                {names[i].name, std::nullopt, static_cast<double>(grown), "by DPDK's driver, of all queues"});
    }
    return list;
}

// What a virtual device loses, only the sockets of the kernel tell. A NIC's counters are its first queue's, for all.
Port::Losses Port::losses(std::uint16_t queue) noexcept {
    Losses losses;
    const auto in_kernel = kernel_ ? kernel_->losses(queue) : std::nullopt;
    if (in_kernel) {
        losses.ring = in_kernel->ring;
        losses.fill = in_kernel->fill;
    } else if (settings_.kind == Kind::pci) {
        rte_eth_stats now = before_;
        if (queue == 0)
            rte_eth_stats_get(id_, &now);
        losses.nic = now.imissed - before_.imissed;
        losses.link = now.ierrors - before_.ierrors;
        losses.ring = losses.fill = 0;
    }
    return losses;
}

void Port::close() noexcept {
    if (fork_guard_.in_child())
        return;
    const std::lock_guard plugging(eal_.plugging());
    unplug();
}

void Port::close_in_its_namespace(std::uint16_t id) noexcept {
    try {
        const Netns::Inside inside(netns_);
        close_device(id);
    } catch (const Error&) { // no right to go there any more
        close_device(id);
    }
}

void Port::close_device(std::uint16_t id) noexcept {
    const QuietLibxdp quiet;
    const auto before = libxdp_descriptors();
    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
    if (driver() == "net_af_xdp") {
        libxdp_.note(before); // what it opened to detach its program
        libxdp_.close_forgotten();
    }
    // net_af_packet closes its sockets when it is stopped, if it was started; net_af_xdp of 22.11 never all of them.
    if (kernel_ && (!started_ || driver() == "net_af_xdp"))
        kernel_->close_sockets();
    for (const auto& [at, bytes] : reachable_) {
        rte_dev_dma_unmap(info_.device, at, reinterpret_cast<std::uintptr_t>(at), bytes);
        rte_extmem_unregister(at, bytes);
    }
    rte_dev_remove(info_.device);
    take_log();
}

void Port::unplug() noexcept {
    if (const std::uint16_t id = std::exchange(id_, RTE_MAX_ETHPORTS); id != RTE_MAX_ETHPORTS)
        close_in_its_namespace(id);
    for (const auto& mbufs : mbufs_)
        mbufs->close();
    mbufs_.clear();
    claim_.reset();
}

} // namespace wirepath::dpdk
