// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/attachment.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.hpp"
#include "engines/ebpf/clsact.hpp"
#include "linux/bpf.hpp"
#include "linux/fd.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::ebpf {
namespace {

std::string name_of(std::uint32_t program) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    const Fd fd(bpf_prog_get_fd_by_id(program));
    return fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 ? info.name : "?";
}

class Link final : public Attachment {
  public:
    Link(Fd link, std::string place) : link_(std::move(link)), place_(std::move(place)) {}
    void replace(int program) override {
        if (bpf_link_update(link_.get(), program, nullptr) != 0)
            throw Error::from_errno("replacing the program at " + place_, errno);
    }
    // Said in so many words, since a forked child may hold the descriptor, too.
    void detach() noexcept override {
        bpf_link_detach(link_.get());
        link_.reset();
    }
    std::string place() const override { return place_; }

  private:
    Fd link_;
    std::string place_;
};

Error cannot_attach_to_xdp(const Device& device, bool native, int err) {
    const std::string doing =
        std::string("attaching a ") + (native ? "native" : "generic") + " XDP program to " + device.name;
    if (err == ERANGE || (native && err == EINVAL))
        return Error(Code::unsupported, doing, err,
                     device.the_driver() + " refuses it at an MTU of " + std::to_string(device.mtu) +
                         ": lower the MTU, or use xdp_mode=generic or hook=tc");
    if (err == EOPNOTSUPP)
        return Error(Code::unsupported, doing, err,
                     device.the_driver() + " has no native XDP: use xdp_mode=generic or hook=tc");
    if (err == EEXIST || err == EBUSY)
        return Error(Code::busy, doing, err,
                     "See ip link show " + device.name + " and bpftool net; hook=tc goes beside it");
    return Error::from_errno(doing, err);
}

// What libbpf 1.1 does not know (Linux 6.6).
Fd create_tcx_link(const Device& device, Way way, int program) {
    bpf_attr attributes{};
    attributes.link_create.prog_fd = static_cast<std::uint32_t>(program);
    attributes.link_create.target_ifindex = static_cast<std::uint32_t>(device.ifindex);
    attributes.link_create.attach_type = way == Way::in ? uapi::bpf_tcx_ingress : uapi::bpf_tcx_egress;
    attributes.link_create.flags = uapi::bpf_f_before; // before all that are there
    return Fd(static_cast<int>(::syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes)));
}

std::vector<std::uint32_t> programs_at_tcx(const Device& device, Way way) {
    std::vector<std::uint32_t> ids(64); // BPF_MPROG_MAX, the most there can be
    auto count = static_cast<std::uint32_t>(ids.size());
    const auto hook = static_cast<bpf_attach_type>(way == Way::in ? uapi::bpf_tcx_ingress : uapi::bpf_tcx_egress);
    if (bpf_prog_query(device.ifindex, hook, 0, nullptr, ids.data(), &count) != 0)
        count = 0;
    ids.resize(count);
    return ids;
}

} // namespace

void refuse_if_tc_is_taken(const Device& device, Way way) {
    std::vector<std::uint32_t> programs = programs_at_tcx(device, way);
    const std::vector<std::uint32_t> more = programs_at_clsact(device, way);
    programs.insert(programs.end(), more.begin(), more.end());
    for (const std::uint32_t program : programs)
        if (name_of(program) == taking_program)
            throw Error(Code::busy, "taking the packets of " + device.name + ", which another capture takes already",
                        EBUSY, "End that one first, or use mode=tap here");
}

void refuse_if_xdp_is_taken(const Device& device) {
    bpf_xdp_query_opts found{};
    found.sz = sizeof found;
    const QuietLibbpf quiet;
    if (bpf_xdp_query(device.ifindex, 0, &found) != 0)
        throw Error::from_errno("asking for the XDP program of " + device.name, errno);
    const std::uint32_t id = found.drv_prog_id   ? found.drv_prog_id
                             : found.skb_prog_id ? found.skb_prog_id
                             : found.hw_prog_id  ? found.hw_prog_id
                                                 : found.prog_id;
    if (id != 0)
        throw Error(Code::busy,
                    "attaching to " + device.name + ", which has an XDP program already: " + name_of(id) + ", id " +
                        std::to_string(id),
                    EBUSY,
                    "hook=tc goes beside it; or end the program that attached it first (ip link show " + device.name +
                        ", bpftool net)");
}

std::unique_ptr<Attachment> attach_to_xdp(const Device& device, bool native, int program) {
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    Fd link(bpf_link_create(program, device.ifindex, BPF_XDP, &options));
    if (!link)
        throw cannot_attach_to_xdp(device, native, errno);
    return std::make_unique<Link>(std::move(link), native ? "native XDP" : "generic XDP");
}

std::unique_ptr<Attachment> attach_to_tc(const Device& device, Way way, int program) {
    const std::string direction = way == Way::in ? "ingress" : "egress";
    Fd link = create_tcx_link(device, way, program);
    if (!link && errno == EINVAL) // before Linux 6.6
        return attach_to_clsact(device, way, program);
    if (!link)
        throw Error::from_errno("attaching a program to tc " + direction + " of " + device.name, errno);
    return std::make_unique<Link>(std::move(link), "tcx " + direction);
}

} // namespace wirepath::ebpf
