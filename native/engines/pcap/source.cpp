// SPDX-License-Identifier: Apache-2.0
// libpcap itself: every device and linktype that it knows. What it hands over dies at its next call, so every packet is
// copied.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/engine.hpp"
#include "core/error.hpp"
#include "engines/pcap/handle.hpp"
#include "engines/pcap/sender.hpp"
#include "filter/filter.hpp"
#include "filter/kernel_meaning.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/interrupt.hpp"
#include "linux/netdevice.hpp"

namespace wirepath {
namespace pcap {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::uint32_t unlimited = 262144;
constexpr std::size_t buffer_bytes = std::size_t{1} << 20;
constexpr std::uint32_t pool_buffers = 64;
constexpr auto grace = std::chrono::milliseconds(50);

Clock clock_of(const std::string& timestamp_type) {
    return timestamp_type == "adapter"            ? Clock::adapter
           : timestamp_type == "adapter_unsynced" ? Clock::adapter_unsynced
                                                  : Clock::host;
}

// Of a counter of libpcap's, which has 32 bits.
struct Wide {
    std::uint64_t total = 0;
    std::uint32_t last = 0;
    void update(std::uint32_t now) noexcept { total += now - std::exchange(last, now); }
};

class PcapSource final : public Source {
  public:
    PcapSource(const OpenRequest& request, const Options& given);
    ~PcapSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override;
    bool filter_settled() const noexcept override {
        return batch_generation_ == generation_.load(std::memory_order_acquire);
    }
    void start() override;
    Status receive(Batch& into, nanoseconds timeout) noexcept override;
    void interrupt() noexcept override {
        if (!fork_guard_.in_child())
            interrupt_.raise();
    }
    void stop() noexcept override;
    Stats stats() override;
    Error fault() const override { return fault_; }

  private:
    struct Filling;
    static void add(u_char* to, const pcap_pkthdr* header, const u_char* bytes) noexcept;
    void install(const Filter* filter);
    void read_counts() noexcept;
    void discard_what_came_early();
    Status dispatch(Batch& into) noexcept;
    int dispatch_to(Filling& filling) noexcept;
    void check_interface() noexcept;
    void note_gone() noexcept;
    Status wait(nanoseconds timeout) noexcept;
    bool take_buffer() noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }
    bool more_may_come() const noexcept;
    Status interface_state() noexcept;

    ForkGuard fork_guard_;
    Interrupt interrupt_;
    Info info_;
    std::string device_;
    std::uint32_t snaplen_;
    Handle handle_;
    Fd control_; // asks the kernel about the interface
    int ifindex_ = 0;
    BufferPool pool_;
    BufferPool::Buffer buffer_; // the one being filled
    std::size_t used_ = 0;
    bool buffer_full_ = false;

    std::mutex mutex_; // libpcap's handle is one thread's at a time
    std::shared_ptr<const Filter> wanted_;
    bool started_ = false;
    std::atomic<std::uint32_t> generation_{0}; // of the filter
    std::uint32_t batch_generation_ = 0;       // when the last batch was filled
    Wide seen_, dropped_, missed_;             // seen: with the dropped
    bool gone_ = false;
    steady_clock::time_point gone_at_;
    std::chrono::milliseconds timeout_;
    Counter received_, received_bytes_, waits_;
    CopyCount copies_;
    Error fault_{Code::system, "no error"};
};

PcapSource::PcapSource(const OpenRequest& request, const Options& given)
    : device_(request.target), snaplen_(request.snaplen == 0 ? unlimited : std::min(request.snaplen, unlimited)),
      handle_(activate(request, given, snaplen_)), control_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      pool_(pool_buffers, buffer_bytes), timeout_(timeout_of(given)) {
    Interface row;
    try { // libpcap knows devices that are no interfaces
        const NetDevice device = netdevice_named(control_.get(), device_);
        ifindex_ = device.ifindex;
        row.ifindex = static_cast<std::uint32_t>(device.ifindex);
        row.hardware = device.driver;
        row.speed_bps = device.speed_bps;
        row.mac = device.mac;
        if (device.gro || device.lro)
            info_.notes.push_back("GRO or LRO is on: packets may be merged before they are captured");
    } catch (const Error& not_an_interface) {
        if (not_an_interface.code() != Code::not_found)
            throw;
    }
    row.name = device_;
    row.linktype = linktype_of_dlt(libpcap().datalink(handle_.get()));
    row.snaplen = snaplen_;
    row.clock = clock_of(given.text("timestamp_type"));
    info_.engine = "pcap";
    info_.mode = libpcap().lib_version();
    info_.interfaces = request.interfaces;
    info_.interface = request.interfaces->add(row);
    info_.fd = libpcap().get_selectable_fd(handle_.get());
    const bool nano = libpcap().get_tstamp_precision(handle_.get()) == PCAP_TSTAMP_PRECISION_NANO;
    info_.granted = {{"snaplen", std::to_string(snaplen_), std::to_string(libpcap().snapshot(handle_.get()))},
                     {"precision", "ns", nano ? "ns" : "us"}};
    if (!nano)
        throw Error(Code::unsupported, device_ + " has no timestamps in nanoseconds");
    discard_what_came_early();
}

// libpcap's devices are bound when they are activated: let nothing in before start().
void PcapSource::discard_what_came_early() {
    bpf_insn reject{BPF_RET | BPF_K, 0, 0, 0};
    bpf_program program{1, &reject};
    if (libpcap().setfilter(handle_.get(), &program) != 0)
        throw Error(Code::system, "capturing on " + device_ + ": " + libpcap().geterr(handle_.get()));
    const auto ignore = [](u_char*, const pcap_pkthdr*, const u_char*) {};
    while (libpcap().dispatch(handle_.get(), -1, ignore, nullptr) > 0) {
    }
}

void PcapSource::install(const Filter* filter) {
    static_assert(sizeof(Instruction) == sizeof(bpf_insn));
    std::vector<bpf_insn> code{{BPF_RET | BPF_K, 0, 0, snaplen_}};
    if (filter != nullptr) {
        code.clear();
        for (const Instruction& i : filter->program())
            code.push_back({i.code, i.jt, i.jf, i.k});
    }
    bpf_program program{static_cast<unsigned>(code.size()), code.data()};
    if (libpcap().setfilter(handle_.get(), &program) != 0)
        throw Error(Code::system, "setting the filter of " + device_ + ": " + libpcap().geterr(handle_.get()));
}

// libpcap itself rejects what an earlier filter left in its ring.
Place PcapSource::set_filter(std::shared_ptr<const Filter> filter) {
    const std::lock_guard lock(mutex_);
    if (!handle_ || fork_guard_.in_child())
        throw Error(Code::closed, "setting a filter: the capture of " + device_ +
                                      (handle_ ? " belongs to the parent process" : " has ended"));
    const bool in_pipeline = filter != nullptr && kernel_may_differ(filter->program());
    if (in_pipeline)
        filter.reset();
    if (started_)
        install(filter.get());
    wanted_ = std::move(filter);
    generation_.fetch_add(1, std::memory_order_release);
    return in_pipeline ? Place::pipeline : wanted_ == nullptr ? Place::none : Place::kernel;
}

void PcapSource::start() {
    const std::lock_guard lock(mutex_);
    read_counts();
    seen_.total = dropped_.total = missed_.total = 0;
    install(wanted_.get());
    started_ = true;
}

void PcapSource::stop() noexcept {
    buffer_ = {};
    const std::lock_guard lock(mutex_);
    if (!handle_)
        return;
    read_counts();
    if (fork_guard_.in_child())
        handle_.get_deleter().leave = true; // closing it would undo what the parent still uses
    handle_.reset();
}

Status PcapSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (fork_guard_.in_child())
        return failed(Error(Code::closed, "receiving: this capture belongs to the parent process"));
    if (!handle_)
        return failed(Error(Code::closed, "receiving: the capture of " + device_ + " has ended"));
    if (interrupt_.take())
        return Status::interrupted;
    if (!take_buffer())
        return failed(Error(Code::no_buffer, "receiving: every buffer is held by batches that are still in use", 0,
                            "Let go of them, or keep copies: batch.copy()"),
                      Status::no_buffer);
    const auto start = steady_clock::now();
    for (auto left = timeout;;) {
        Status status = dispatch(into);
        if (status != Status::timeout)
            return status;
        check_interface();
        status = gone_ && !more_may_come() ? interface_state() : wait(left);
        if (status != Status::ok)
            return status;
        if (timeout.count() > 0)
            left = std::max(nanoseconds(0), nanoseconds(timeout - (steady_clock::now() - start)));
    }
}

bool PcapSource::take_buffer() noexcept {
    if (buffer_.data != nullptr)
        return true;
    used_ = 0;
    return pool_.take(buffer_);
}

struct PcapSource::Filling {
    PcapSource& source;
    Batch& batch;
    std::uint64_t bytes = 0;
};

void PcapSource::add(u_char* to, const pcap_pkthdr* header, const u_char* bytes) noexcept {
    Filling& filling = *reinterpret_cast<Filling*>(to);
    PcapSource& source = filling.source;
    Packet packet;
    std::byte* at = source.buffer_.data + source.used_;
    copy_payload(at, {reinterpret_cast<const std::byte*>(bytes), header->caplen}, source.copies_);
    packet.data = {at, header->caplen};
    packet.origlen = header->len;
    packet.ts = std::int64_t{header->ts.tv_sec} * 1'000'000'000 + header->ts.tv_usec; // nanoseconds, as asked
    packet.interface = source.info_.interface;
    filling.batch.push(packet);
    filling.bytes += header->caplen;
    source.used_ += header->caplen;
    if (source.buffer_.size - source.used_ < source.snaplen_) {
        source.buffer_full_ = true;
        libpcap().breakloop(source.handle_.get());
    }
}

int PcapSource::dispatch_to(Filling& filling) noexcept {
    const std::lock_guard lock(mutex_);
    batch_generation_ = generation_.load(std::memory_order_relaxed);
    return libpcap().dispatch(handle_.get(), static_cast<int>(filling.batch.capacity()), add,
                              reinterpret_cast<u_char*>(&filling));
}

// timeout: nothing was there.
Status PcapSource::dispatch(Batch& into) noexcept {
    into.begin(buffer_.data + used_, buffer_.size - used_, buffer_.lease);
    Filling filling{*this, into};
    buffer_full_ = false;
    const int result = dispatch_to(filling);
    received_.add(into.size());
    received_bytes_.add(filling.bytes);
    if (buffer_full_)
        buffer_ = {};
    if (!into.empty())
        return Status::ok;
    into.release();
    if (result == PCAP_ERROR)
        return interface_state() == Status::gone
                   ? Status::gone
                   : failed(Error(Code::system, "receiving from " + device_ + ": " + libpcap().geterr(handle_.get())));
    return Status::timeout;
}

// What libpcap's ring still holds of an interface that is gone comes at its timeout.
bool PcapSource::more_may_come() const noexcept {
    return received_.get() + dropped_.total < seen_.total && steady_clock::now() - gone_at_ < 2 * timeout_ + grace;
}

// gone; ok if the device is no interface.
Status PcapSource::interface_state() noexcept {
    if (ifindex_ == 0)
        return Status::ok;
    const std::string name = netdevice_name(control_.get(), ifindex_);
    if (name.empty())
        return failed(Error(Code::gone, "the interface " + device_ + " has disappeared"), Status::gone);
    if (!netdevice_is_up(control_.get(), name))
        return failed(Error(Code::gone, "the interface " + name + " went down", 0,
                            "Bring it up with: ip link set " + name + " up"),
                      Status::gone);
    return failed(Error(Code::gone, "the interface " + name + " went down for a moment: packets may have been missed"),
                  Status::gone);
}

// libpcap takes the socket's error for itself, and waits on while the interface is down.
void PcapSource::check_interface() noexcept {
    if (ifindex_ == 0 || gone_)
        return;
    const std::string name = netdevice_name(control_.get(), ifindex_);
    if (name.empty() || !netdevice_is_up(control_.get(), name))
        note_gone();
}

void PcapSource::note_gone() noexcept {
    if (ifindex_ == 0 || gone_)
        return;
    const std::lock_guard lock(mutex_);
    read_counts();
    gone_ = true;
    gone_at_ = steady_clock::now();
}

// ok: something may be there.
Status PcapSource::wait(nanoseconds timeout) noexcept {
    if (timeout.count() != 0)
        waits_.add(1);
    const nanoseconds slice = std::chrono::milliseconds(1); // where no descriptor or no end is told of
    const bool blind = info_.fd < 0 || gone_;
    const bool cut = blind && (timeout.count() < 0 || timeout > slice);
    short events = 0;
    Status status = interrupt_.wait(info_.fd, cut ? slice : timeout, events);
    if (status == Status::timeout && cut)
        status = Status::ok;
    if ((events & POLLERR) != 0)
        note_gone();
    return status == Status::error ? failed(Error::from_errno("waiting for packets", errno)) : status;
}

void PcapSource::read_counts() noexcept {
    pcap_stat now{};
    if (!handle_ || fork_guard_.in_child() || libpcap().stats(handle_.get(), &now) != 0)
        return;
    seen_.update(now.ps_recv);
    dropped_.update(now.ps_drop);
    missed_.update(now.ps_ifdrop);
}

Stats PcapSource::stats() {
    const std::lock_guard lock(mutex_);
    read_counts();
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.dropped_ring = dropped_.total;
    stats.dropped_nic = missed_.total;
    stats.dropped_fill = 0;
    stats.copied = copies_.packets.get();
    stats.copied_bytes = copies_.bytes.get();
    stats.waits = waits_.get();
    return stats;
}

Probe probe() {
    try {
        libpcap();
    } catch (const Error& error) {
        return {false, error.what()};
    }
    const Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!fd)
        return {false, "needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw,+net_admin"};
    return {true, ""};
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const Options given("pcap", options, request.options);
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(std::make_unique<PcapSource>(request, given));
    return sources;
}

} // namespace
} // namespace pcap

extern const Engine pcap_engine;
const Engine pcap_engine{
    "pcap", Takes::interface, false, pcap::options, pcap::probe, pcap::open, {}, pcap::open_sender,
};

} // namespace wirepath
