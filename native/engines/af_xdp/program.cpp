// SPDX-License-Identifier: Apache-2.0
// libbpf loads and attaches; libxdp is not used: its dispatcher needs objects under /usr/lib and a bpffs, which a fresh
// network namespace has not, and it writes to standard error. One program an interface is all there is to manage.
#include "engines/af_xdp/program.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <numeric>
#include <redirect.skel.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "filter/ebpf.hpp"
#include "linux/bpf.hpp"
#include "linux/bpf_splice.hpp"
#include "linux/netdev_family.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::af_xdp {
namespace {

using Skeleton = BpfSkeleton<redirect_bpf>;

bpf_program* program_of(const redirect_bpf& skeleton, TagSource tags) {
    switch (tags) {
    case TagSource::driver:
        return skeleton.progs.take_with_tag;
    case TagSource::tracepoint:
        return skeleton.progs.take_with_noted_tag;
    case TagSource::nowhere:
        break;
    }
    return skeleton.progs.take;
}

struct Load {
    std::uint32_t ifindex;
    std::uint32_t queues;
    bool metadata;
    bool fragments;
    TagSource tags;
};

void configure(redirect_bpf& skeleton, const Load& load) {
    for (bpf_program* program : {skeleton.progs.take, skeleton.progs.take_with_tag, skeleton.progs.take_with_noted_tag,
                                 skeleton.progs.note_tag})
        bpf_program__set_autoload(program, false);
    bpf_program* take = program_of(skeleton, load.tags);
    bpf_program__set_autoload(take, true);
    bpf_program__set_autoload(skeleton.progs.note_tag, load.tags == TagSource::tracepoint);
    std::uint32_t flags = load.fragments ? BPF_F_XDP_HAS_FRAGS : 0;
    if (load.tags == TagSource::driver) {
        flags |= uapi::bpf_f_xdp_dev_bound_only;
        bpf_program__set_ifindex(take, load.ifindex);
    }
    bpf_program__set_flags(take, flags);
    bpf_map__set_max_entries(skeleton.maps.sockets, load.queues);
    bpf_map__set_max_entries(skeleton.maps.rejected, load.queues);
    skeleton.rodata->ifindex = static_cast<int>(load.ifindex);
    skeleton.rodata->with_metadata = load.metadata;
}

Error cannot_load(int err) {
    return cannot_load_bpf("the XDP program", err, " and AF_XDP (CONFIG_XDP_SOCKETS), Linux 6.1 or newer");
}

Skeleton load_with_best_tags(Load load, std::initializer_list<TagSource> sources, TagSource& found) {
    const bool with_timestamps = load.metadata;
    for (const TagSource source : sources) {
        load.tags = found = source;
        load.metadata = with_timestamps || source != TagSource::nowhere;
        if (Skeleton skeleton = try_load_skeleton<redirect_bpf>([&](redirect_bpf& s) { configure(s, load); }))
            return skeleton;
    }
    throw cannot_load(errno);
}

void refuse_if_taken(const Device& device) {
    bpf_xdp_query_opts found{};
    found.sz = sizeof found;
    const QuietLibbpf quiet;
    if (bpf_xdp_query(device.ifindex, 0, &found) != 0)
        throw Error::from_errno("asking for the XDP program of " + device.name, errno);
    const std::uint32_t id = found.drv_prog_id   ? found.drv_prog_id
                             : found.skb_prog_id ? found.skb_prog_id
                             : found.hw_prog_id  ? found.hw_prog_id
                                                 : found.prog_id;
    if (id == 0)
        return;
    std::string name = "?";
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    const Fd program(bpf_prog_get_fd_by_id(id));
    if (program && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0)
        name = info.name;
    throw Error(Code::busy,
                "attaching to " + device.name + ", which has an XDP program already: " + name + ", id " +
                    std::to_string(id),
                EBUSY, "See ip link show " + device.name + " and bpftool net; end the program that attached it first");
}

Error cannot_attach(const Device& device, bool native, int err) {
    const std::string doing =
        std::string("attaching a ") + (native ? "native" : "generic") + " XDP program to " + device.name;
    if (err == ERANGE || (native && err == EINVAL))
        return Error(Code::unsupported, doing, err,
                     device.the_driver() + " refuses it at an MTU of " + std::to_string(device.mtu) +
                         ": allow fragments, lower the MTU, or use xdp_mode=generic");
    if (err == EOPNOTSUPP)
        return Error(Code::unsupported, doing, err, device.the_driver() + " has no native XDP: use xdp_mode=generic");
    if (err == EEXIST || err == EBUSY)
        return Error(Code::busy, doing, err, "See ip link show " + device.name + " and bpftool net");
    return Error::from_errno(doing, err);
}

// A program that asks the driver for tags loads for every device that can have XDP; most drivers then tell none.
bool driver_tells_tags(const Device& device) {
    return (xdp_rx_metadata(device.ifindex).value_or(0) & uapi::netdev_xdp_rx_metadata_vlan_tag) != 0;
}

TagSource best_source(const Device& device, bool native) {
    if (!native)
        return TagSource::tracepoint;
    return driver_tells_tags(device) ? TagSource::driver : TagSource::nowhere;
}

std::string_view in_words(TagSource tags) {
    switch (tags) {
    case TagSource::driver:
        return "from the driver (bpf_xdp_metadata_rx_vlan_tag)";
    case TagSource::tracepoint:
        return "from the tracepoint netif_receive_skb";
    case TagSource::nowhere:
        break;
    }
    return "only tags that are in the bytes";
}

Error cannot_replace(int err) {
    return Error::from_errno(
        "replacing the filter in the XDP program", err,
        "This needs CAP_BPF and CAP_NET_ADMIN, also after opening: keep them, or set no other filter");
}

} // namespace

struct Program::Loaded {
    Skeleton skeleton;
    int program; // the descriptor of the one that lets everything through
    FilterSplice splice;
};

Program::~Program() { detach(); }

Program::Program(const Device& device, const Settings& settings) {
    refuse_if_taken(device);
    if (settings.xdp_mode != XdpMode::automatic) {
        attach(device, settings, settings.xdp_mode == XdpMode::native);
    } else {
        try {
            attach(device, settings, true);
        } catch (const Error& error) {
            if (error.code() != Code::unsupported && error.code() != Code::system)
                throw;
            notes_.push_back("generic XDP, because native was refused: " + std::string(error.what()));
            attach(device, settings, false);
        }
    }
    if (settings.promisc)
        be_promiscuous(device);
}

void Program::attach(const Device& device, const Settings& settings, bool native) {
    TagSource tags = TagSource::nowhere;
    Skeleton skeleton =
        load_with_best_tags({static_cast<std::uint32_t>(device.ifindex), device.queues, settings.xdp_timestamps,
                             settings.fragments != Fragments::off, TagSource::nowhere},
                            {best_source(device, native), TagSource::nowhere}, tags);
    const bpf_program* take = program_of(*skeleton, tags);
    if (tags == TagSource::tracepoint) {
        tag_link_ = Fd(bpf_link_create(bpf_program__fd(skeleton->progs.note_tag), 0, BPF_TRACE_RAW_TP, nullptr));
        if (!tag_link_)
            tags = TagSource::nowhere;
    }
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    link_ = Fd(bpf_link_create(bpf_program__fd(take), device.ifindex, BPF_XDP, &options));
    if (!link_)
        throw cannot_attach(device, native, errno);
    const std::uint32_t bound_to = tags == TagSource::driver ? static_cast<std::uint32_t>(device.ifindex) : 0;
    FilterSplice splice(loaded_program(take, bound_to));
    const int fd = bpf_program__fd(take);
    loaded_ = std::make_unique<Loaded>(Loaded{std::move(skeleton), fd, std::move(splice)});
    native_ = native;
    tell(settings, tags);
}

void Program::tell(const Settings& settings, TagSource tags) {
    const std::string_view asked = settings.xdp_mode == XdpMode::automatic ? "auto"
                                   : settings.xdp_mode == XdpMode::native  ? "native"
                                                                           : "generic";
    granted_.push_back({"xdp_mode", std::string(asked), native_ ? "native" : "generic"});
    metadata_ = settings.xdp_timestamps || tags != TagSource::nowhere;
    granted_.push_back({"vlan_tags", "kept", std::string(in_words(tags))});
    if (tags == TagSource::nowhere)
        notes_.push_back("VLAN tags that the NIC or the sender keeps beside the bytes are lost, since this kernel or "
                         "driver does not show them to XDP: " +
                         std::string(native_ ? "xdp_mode=generic keeps them, and " : "") +
                         "ethtool -K IFACE rxvlan off leaves them in the bytes");
}

void Program::take_queue(std::uint32_t queue, int socket) {
    if (bpf_map_update_elem(bpf_map__fd(loaded_->skeleton->maps.sockets), &queue, &socket, BPF_ANY) != 0)
        throw Error::from_errno("putting the socket of queue " + std::to_string(queue) + " in the XSKMAP", errno);
}

void Program::leave_queue(std::uint32_t queue) noexcept {
    if (!fork_guard_.in_child())
        bpf_map_delete_elem(bpf_map__fd(loaded_->skeleton->maps.sockets), &queue);
}

// None: XDP cannot tell what it asks for, or this process may not load programs any more.
Fd Program::with_filter(const Filter& filter) const noexcept {
    try {
        return loaded_->splice.load(to_ebpf(filter.program(), Hook::xdp));
    } catch (const Error&) {
        return {};
    }
}

bool Program::set_filter(const Filter* filter) {
    const std::lock_guard lock(replacing_);
    std::vector<Instruction> wanted;
    if (filter != nullptr)
        wanted.assign(filter->program().begin(), filter->program().end());
    if (wanted == filter_) // another queue's source asked for it before
        return filters_;
    const Fd filtering = filter != nullptr ? with_filter(*filter) : Fd();
    if (filtering || filters_) {
        const int replacement = filtering ? filtering.get() : loaded_->program;
        if (bpf_link_update(link_.get(), replacement, nullptr) != 0)
            throw cannot_replace(errno);
    }
    filter_ = std::move(wanted);
    filters_ = bool(filtering);
    return filters_;
}

std::optional<std::uint64_t> Program::rejected(std::uint32_t queue) const noexcept {
    const int cpus = libbpf_num_possible_cpus();
    std::vector<std::uint64_t> counts(cpus > 0 ? static_cast<std::size_t>(cpus) : 0);
    if (counts.empty() ||
        bpf_map_lookup_elem(bpf_map__fd(loaded_->skeleton->maps.rejected), &queue, counts.data()) != 0)
        return std::nullopt;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

// Said in so many words, since a forked child may hold the descriptors, too. In that child closing is all.
void Program::detach() noexcept {
    if (!fork_guard_.in_child()) {
        bpf_link_detach(link_.get());
        if (tag_link_)
            bpf_link_detach(tag_link_.get());
    }
}

void Program::check_loadable() {
    const QuietLibbpf quiet;
    const Fd map(
        bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", sizeof(std::uint32_t), sizeof(std::uint32_t), 1, nullptr));
    if (!map)
        throw cannot_load(errno);
    const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, std::size(pass), nullptr));
    if (!program)
        throw cannot_load(errno);
}

void Program::be_promiscuous(const Device& device) {
    promiscuity_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    packet_mreq request{};
    request.mr_ifindex = device.ifindex;
    request.mr_type = PACKET_MR_PROMISC;
    if (!promiscuity_ ||
        ::setsockopt(promiscuity_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0)
        throw Error::from_errno("putting " + device.name + " into promiscuous mode", errno);
}

} // namespace wirepath::af_xdp
