// SPDX-License-Identifier: Apache-2.0
#include "trace/packets/xdp_programs.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cstring>

#include "linux/fd.hpp"

namespace wirepath::trace {
namespace {

using Skeleton = BpfSkeleton<follow_bpf>;

struct Target {
    Fd fd;
    std::uint32_t id = 0;
    std::string function; // its name, in full
};

// Empty: it carries no type information, without which nothing can be attached to it.
std::string function_of(const bpf_prog_info& info, const bpf_func_info& first) {
    btf* types = info.btf_id == 0 ? nullptr : btf__load_from_kernel_by_id(info.btf_id);
    if (types == nullptr)
        return {};
    const btf_type* type = btf__type_by_id(types, first.type_id);
    std::string name = type == nullptr ? "" : btf__name_by_offset(types, type->name_off);
    btf__free(types);
    return name;
}

bool is_xdp(int fd) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_PROG_TYPE_XDP;
}

Target target_of(std::uint32_t id) {
    Target target{Fd(bpf_prog_get_fd_by_id(id)), id, {}};
    if (!target.fd || !is_xdp(target.fd.get()))
        return {};
    bpf_prog_info info{};
    bpf_func_info first{};
    std::uint32_t size = sizeof info;
    info.nr_func_info = 1;
    info.func_info_rec_size = sizeof first;
    info.func_info = reinterpret_cast<std::uint64_t>(&first);
    if (bpf_obj_get_info_by_fd(target.fd.get(), &info, &size) == 0)
        target.function = function_of(info, first);
    return target;
}

std::vector<Target> xdp_programs() {
    std::vector<Target> found;
    for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;)
        if (Target target = target_of(id); target.fd)
            found.push_back(std::move(target));
    return found;
}

// The same maps and variables as the programs that follow skbs.
void share_maps(const follow_bpf& from, const follow_bpf& to) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, to.obj) {
        const bpf_map* same = bpf_object__find_map_by_name(from.obj, bpf_map__name(map));
        if (same != nullptr && bpf_map__fd(same) >= 0)
            bpf_map__reuse_fd(map, bpf_map__fd(same));
    }
}

Skeleton load_around(const follow_bpf& follow, const Target& target) {
    return try_load_skeleton<follow_bpf>([&](follow_bpf& it) {
        choose_programs(it, {}, FunctionHooks::none);
        share_maps(follow, it);
        for (bpf_program* program : {it.progs.xdp_begins, it.progs.xdp_ends}) {
            bpf_program__set_autoload(program, true);
            bpf_program__set_attach_target(program, target.fd.get(), target.function.c_str());
        }
    });
}

Link attach_with(bpf_program* program, std::uint64_t cookie) {
    bpf_trace_opts options{};
    options.sz = sizeof options;
    options.cookie = cookie;
    return Link(bpf_program__attach_trace_opts(program, &options));
}

} // namespace

AroundXdp attach_around_xdp(const follow_bpf& follow) {
    AroundXdp around;
    for (const Target& target : xdp_programs()) {
        Skeleton programs = target.function.empty() ? nullptr : load_around(follow, target);
        Link begins = programs ? attach_with(programs->progs.xdp_begins, target.id) : nullptr;
        Link ends = begins ? attach_with(programs->progs.xdp_ends, target.id) : nullptr;
        if (!ends) {
            around.refused.push_back("XDP program " + std::to_string(target.id) + ": " +
                                     (target.function.empty() ? "it has no type information" : std::strerror(errno)));
            continue;
        }
        around.names.emplace(target.id, target.function);
        around.programs.push_back(std::move(programs));
        around.links.push_back(std::move(begins));
        around.links.push_back(std::move(ends));
    }
    return around;
}

} // namespace wirepath::trace
