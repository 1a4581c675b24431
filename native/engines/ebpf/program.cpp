// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/program.hpp"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cstdlib>
#include <linux/if_packet.h>
#include <packets.skel.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.hpp"
#include "engines/ebpf/user_program.hpp"
#include "filter/ebpf.hpp"
#include "linux/bpf.hpp"
#include "linux/bpf_splice.hpp"
#include "linux/netdev_family.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::ebpf {
namespace {

Error cannot_load(int err) { return cannot_load_bpf("the capturing BPF program", err, " and Linux 6.1 or newer"); }

// A program that asks the driver for tags loads for every device that can have XDP; most drivers then tell none.
bool driver_tells_tags(const Device& device) {
    return (xdp_rx_metadata(device.ifindex).value_or(0) & uapi::netdev_xdp_rx_metadata_vlan_tag) != 0;
}

std::string_view asked_for(XdpMode mode) {
    return mode == XdpMode::automatic ? "auto" : mode == XdpMode::native ? "native" : "generic";
}

std::span<const char> our_object() {
    std::size_t size = 0;
    const auto* bytes = static_cast<const char*>(packets_bpf::elf_bytes(&size));
    return {bytes, size};
}

// What packets_bpf::open() does, of an object that has more in it than ours. nullptr and errno if libbpf refuses it.
packets_bpf* open_linked(const std::string& object) {
    auto* skeleton = static_cast<packets_bpf*>(std::calloc(1, sizeof(packets_bpf)));
    if (skeleton == nullptr || packets_bpf__create_skeleton(skeleton) != 0) {
        packets_bpf::destroy(skeleton);
        return nullptr;
    }
    skeleton->skeleton->data = object.data();
    skeleton->skeleton->data_sz = object.size();
    if (bpf_object__open_skeleton(skeleton->skeleton, nullptr) == 0)
        return skeleton;
    packets_bpf::destroy(skeleton);
    return nullptr;
}

} // namespace

void Program::DestroySkeleton::operator()(packets_bpf* skeleton) const noexcept { packets_bpf::destroy(skeleton); }

Program::Program(const std::vector<Device>& devices, const Settings& settings)
    : devices_(devices), settings_(settings),
      cpu_count_(static_cast<std::uint32_t>(std::clamp(libbpf_num_possible_cpus(), 1, int{ebpf_most_cpus}))) {
    check_machine();
    if (settings_.hook == Hook::xdp)
        for (const Device& device : devices_)
            refuse_if_xdp_is_taken(device);
    load();
    if (settings_.process)
        processes_ = std::make_shared<ProcessTable>(bpf_map__fd(skeleton_->maps.processes));
}

Program::~Program() { detach(); }

// A kernel may lack what one of the sources of VLAN tags needs.
void Program::load() {
    const bool xdp = settings_.hook == Hook::xdp;
    const bool driver = xdp && may_be_native() && devices_.size() == 1 && driver_tells_tags(devices_.front());
    const bool tracepoint = xdp && may_be_generic();
    if (!settings_.program.empty())
        object_ = linked_with(our_object(), settings_.program);
    const LibbpfWarnings warnings;
    for (const Tags tags : {Tags{driver, tracepoint}, Tags{false, tracepoint}, Tags{driver, false}, Tags{}})
        if (try_load(tags))
            return;
    const int err = errno;
    if (const std::string said = warnings.of_the_verifier(); !settings_.program.empty() && !said.empty())
        throw Error(Code::bad_option, "loading " + settings_.program + ", the kernel's verifier says:" + said);
    throw cannot_load(err);
}

bool Program::try_load(Tags tags) {
    BpfSkeleton<packets_bpf> opened(object_.empty() ? packets_bpf::open() : open_linked(object_));
    auto loaded = try_load_opened(std::move(opened), [&](packets_bpf& skeleton) { configure(skeleton, tags); });
    if (loaded == nullptr)
        return false;
    skeleton_.reset(loaded.release());
    tags_ = tags;
    ::madvise(skeleton_->bss, sizeof *skeleton_->bss, MADV_DONTFORK);
    return true;
}

void Program::configure(packets_bpf& skeleton, Tags tags) const {
    const bool xdp = settings_.hook == Hook::xdp;
    const auto& programs = skeleton.progs;
    bpf_program* any = nullptr;
    bpf_object__for_each_program(any, skeleton.obj) bpf_program__set_autoload(any, false); // the user's object has some
    bpf_program__set_autoload(programs.wirepath_xdp, xdp);
    bpf_program__set_autoload(programs.wirepath_xdp_tag, tags.driver);
    bpf_program__set_autoload(programs.wirepath_xdp_ntd, tags.tracepoint);
    bpf_program__set_autoload(programs.note_tag, tags.tracepoint);
    bpf_program__set_autoload(programs.wirepath_in, !xdp && settings_.inbound);
    bpf_program__set_autoload(programs.wirepath_out, !xdp && settings_.outbound);
    if (tags.driver) {
        bpf_program__set_ifindex(programs.wirepath_xdp_tag, static_cast<std::uint32_t>(devices_.front().ifindex));
        bpf_program__set_flags(programs.wirepath_xdp_tag, BPF_F_XDP_HAS_FRAGS | uapi::bpf_f_xdp_dev_bound_only);
    }
    bpf_program__set_autoload(programs.note_maker, settings_.process);
    bpf_program__set_autoload(programs.note_holders, settings_.process);
    bpf_map__set_value_size(skeleton.maps.blocks, settings_.geometry.block_bytes);
    bpf_map__set_max_entries(skeleton.maps.blocks, settings_.geometry.blocks);
    skeleton.rodata->snaplen = settings_.snaplen;
    skeleton.rodata->block_bytes = settings_.geometry.block_bytes;
    skeleton.rodata->take = settings_.mode == Mode::take;
    skeleton.rodata->drop_rejected = settings_.drop_rejected;
    skeleton.rodata->decides = !settings_.program.empty();
    skeleton.rodata->wirepath_hook = xdp ? record_hook_xdp : record_hook_tc;
    skeleton.rodata->tell_processes = settings_.process;
    skeleton.rodata->pid_namespace = own_pid_namespace();
}

Mapping Program::map_blocks() const {
    Mapping memory = Mapping::of_fd(bpf_map__fd(skeleton_->maps.blocks),
                                    std::size_t{settings_.geometry.blocks} * settings_.geometry.block_bytes);
    memory.keep_from_children();
    return memory;
}

free_blocks& Program::free() noexcept { return skeleton_->bss->free_blocks; }
cpu_state* Program::cpus() noexcept { return skeleton_->bss->cpus; }
int Program::bell() const noexcept { return bpf_map__fd(skeleton_->maps.bell); }
std::uint32_t& Program::armed() noexcept { return skeleton_->bss->armed; }

Program::Counts Program::counts() const noexcept {
    Counts counts;
    for (std::uint32_t cpu = 0; cpu < cpu_count_; ++cpu) {
        counts.lost += std::atomic_ref(skeleton_->bss->cpus[cpu].lost).load(std::memory_order_relaxed);
        counts.rejected += std::atomic_ref(skeleton_->bss->cpus[cpu].rejected).load(std::memory_order_relaxed);
    }
    return counts;
}

// The name tells others what the program does to their packets.
Fd Program::load_with(const bpf_program* program, std::span<const bpf_insn> filter) const {
    const bool bound = program == skeleton_->progs.wirepath_xdp_tag;
    BpfProgram loaded = loaded_program(program, bound ? static_cast<std::uint32_t>(devices_.front().ifindex) : 0);
    loaded.name = settings_.mode == Mode::take ? taking_program : tapping_program;
    BpfProgram filtering = FilterSplice(std::move(loaded)).with(filter);
    if (!settings_.program.empty())
        describe_functions(filtering, static_cast<std::uint32_t>(bpf_object__btf_fd(skeleton_->obj)), decide_type());
    return load_bpf_program(filtering);
}

std::uint32_t Program::decide_type() const {
    return static_cast<std::uint32_t>(
        btf__find_by_name_kind(bpf_object__btf(skeleton_->obj), "wirepath_decide", BTF_KIND_FUNC));
}

void Program::set_filter(const Filter* filter) {
    std::vector<bpf_insn> translated;
    if (filter != nullptr)
        translated = to_ebpf(filter->program(), settings_.hook == Hook::xdp ? wirepath::Hook::xdp : wirepath::Hook::tc);
    std::vector<Fd> loaded;
    for (const Attached& attached : attached_)
        loaded.push_back(load_with(attached.program, translated));
    for (std::size_t i = 0; i < loaded.size(); ++i)
        attached_[i].attachment->replace(loaded[i].get());
    filter_ = std::move(translated);
}

// Before the first packet. The paths of cgroups are asked for while we still may.
void Program::note_processes() {
    makers_.emplace(*skeleton_, processes_->cgroups());
    processes_->all();
    if (!makers_->note().empty())
        notes_.push_back(makers_->note());
}

void Program::attach() {
    if (processes_)
        note_processes();
    if (settings_.hook == Hook::xdp)
        attach_to_best_xdp();
    for (const Device& device : devices_) {
        if (settings_.hook == Hook::tc && settings_.inbound)
            attach_to_tc(device, Way::in, skeleton_->progs.wirepath_in);
        if (settings_.hook == Hook::tc && settings_.outbound)
            attach_to_tc(device, Way::out, skeleton_->progs.wirepath_out);
    }
    if (settings_.promisc)
        be_promiscuous();
}

void Program::attach_to_tc(const Device& device, Way way, const bpf_program* program) {
    if (settings_.mode == Mode::take)
        refuse_if_tc_is_taken(device, way);
    const Fd loaded = load_with(program, filter_);
    attached_.push_back({ebpf::attach_to_tc(device, way, loaded.get()), program});
}

void Program::attach_to_best_xdp() {
    if (settings_.xdp_mode != XdpMode::automatic)
        return attach_to_xdp(settings_.xdp_mode == XdpMode::native);
    try {
        attach_to_xdp(true);
    } catch (const Error& error) {
        if (error.code() != Code::unsupported && error.code() != Code::system)
            throw;
        attached_.clear();
        granted_.clear();
        notes_ = {"generic XDP, because native was refused: " + std::string(error.what())};
        attach_to_xdp(false);
    }
}

void Program::attach_to_xdp(bool native) {
    if (!native && tags_.tracepoint) {
        tag_link_ = Fd(bpf_link_create(bpf_program__fd(skeleton_->progs.note_tag), 0, BPF_TRACE_RAW_TP, nullptr));
        tags_.tracepoint = static_cast<bool>(tag_link_);
    }
    const bpf_program* program = native && tags_.driver        ? skeleton_->progs.wirepath_xdp_tag
                                 : !native && tags_.tracepoint ? skeleton_->progs.wirepath_xdp_ntd
                                                               : skeleton_->progs.wirepath_xdp;
    const Fd loaded = load_with(program, filter_);
    for (const Device& device : devices_)
        attached_.push_back({ebpf::attach_to_xdp(device, native, loaded.get()), program});
    granted_.push_back({"xdp_mode", std::string(asked_for(settings_.xdp_mode)), native ? "native" : "generic"});
    tell_tags(native);
}

void Program::tell_tags(bool native) {
    const bool known = native ? tags_.driver : tags_.tracepoint;
    granted_.push_back({"vlan_tags", "kept",
                        !known   ? "only tags that are in the bytes"
                        : native ? "from the driver (bpf_xdp_metadata_rx_vlan_tag)"
                                 : "from the tracepoint netif_receive_skb"});
    if (!known)
        notes_.push_back("VLAN tags that the NIC or the sender keeps beside the bytes are lost, since this kernel or "
                         "driver does not show them to XDP: hook=tc keeps them, and ethtool -K IFACE rxvlan off "
                         "leaves them in the bytes");
}

void Program::be_promiscuous() {
    promiscuity_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    for (const Device& device : devices_) {
        packet_mreq request{};
        request.mr_ifindex = device.ifindex;
        request.mr_type = PACKET_MR_PROMISC;
        if (!promiscuity_ ||
            ::setsockopt(promiscuity_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0)
            throw Error::from_errno("putting " + device.name + " into promiscuous mode", errno);
    }
}

// In a forked child closing is all: what is attached is its parent's.
void Program::detach() noexcept {
    if (!fork_guard_.in_child()) {
        for (auto one = attached_.rbegin(); one != attached_.rend(); ++one) // a qdisc goes with the one that made it
            one->attachment->detach();
        if (tag_link_)
            bpf_link_detach(tag_link_.get());
    }
    attached_.clear();
    tag_link_.reset();
    makers_.reset();
    promiscuity_.reset();
}

std::string Program::place() const {
    std::string places;
    for (const Attached& one : attached_)
        if (const std::string place = one.attachment->place(); places.find(place) == std::string::npos)
            places += (places.empty() ? "" : " and ") + place;
    return places;
}

// What the ring relies on: a program runs to its end before another one on its CPU, and each CPU has its own state.
void Program::check_machine() {
    if (::access("/sys/kernel/realtime", F_OK) == 0)
        throw Error(Code::unsupported, "capturing with BPF programs on a real-time kernel", 0,
                    "There they interrupt each other: use the engine tpacket_v3");
    if (libbpf_num_possible_cpus() > int{ebpf_most_cpus})
        throw Error(Code::unsupported,
                    "capturing with BPF programs on more than " + std::to_string(ebpf_most_cpus) + " CPUs", 0,
                    "Use the engine tpacket_v3");
}

void Program::check_loadable() {
    check_machine();
    const auto loaded = try_load_skeleton<packets_bpf>([](packets_bpf& skeleton) {
        for (bpf_program* program :
             {skeleton.progs.wirepath_xdp, skeleton.progs.wirepath_xdp_tag, skeleton.progs.wirepath_xdp_ntd,
              skeleton.progs.note_tag, skeleton.progs.wirepath_out, skeleton.progs.note_maker,
              skeleton.progs.note_holders})
            bpf_program__set_autoload(program, false);
        bpf_map__set_max_entries(skeleton.maps.blocks, 1);
    });
    if (loaded == nullptr)
        throw cannot_load(errno);
}

} // namespace wirepath::ebpf
