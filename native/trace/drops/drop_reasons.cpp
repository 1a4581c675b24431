// SPDX-License-Identifier: Apache-2.0
#include "trace/drops/drop_reasons.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <drop_reasons.skel.h>
#include <numeric>
#include <string_view>

#include "linux/bpf.hpp"
#include "linux/fd.hpp"
#include "trace/btf.hpp"
#include "trace/drops/records.h"

namespace wirepath::trace {
namespace {

constexpr std::string_view purpose = "To count drop reasons";

// Whether kfree_skb also tells the receiving socket: Linux 6.11 on.
bool tells_socket(const btf* types) {
    const int id = btf__find_by_name_kind(types, "btf_trace_kfree_skb", BTF_KIND_TYPEDEF);
    if (id < 0)
        return false;
    const btf_type* pointer = btf__type_by_id(types, btf__type_by_id(types, static_cast<__u32>(id))->type);
    return btf_vlen(btf__type_by_id(types, pointer->type)) >= 5;
}

void choose(drop_reasons_bpf& skeleton, bool with_socket) {
    bpf_program__set_autoload(skeleton.progs.count_drop, !with_socket);
    bpf_program__set_autoload(skeleton.progs.count_drop_of_socket, with_socket);
}

// Each key of a per-CPU map with the sum over the CPUs.
template <typename Key, typename F>
void each(int map, F&& use) {
    std::vector<std::uint64_t> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    Key key{}, next{};
    for (const Key* from = nullptr; bpf_map_get_next_key(map, from, &next) == 0; from = &key) {
        key = next;
        if (bpf_map_lookup_elem(map, &key, values.data()) == 0)
            use(key, std::accumulate(values.begin(), values.end(), std::uint64_t{0}));
    }
}

std::string kind_of(std::uint32_t kind) {
    return kind == XDP_LOSS_EXCEPTION ? "exception" : kind == XDP_LOSS_REDIRECT ? "redirect" : "devmap";
}

} // namespace

struct DropReasons::Attached {
    BpfSkeleton<drop_reasons_bpf> skeleton;
    std::vector<Fd> links;
};

DropReasons::DropReasons() : attached_(std::make_unique<Attached>()) {
    const bool with_socket = tells_socket(kernel_btf(purpose).get());
    attached_->skeleton =
        try_load_skeleton<drop_reasons_bpf>([&](drop_reasons_bpf& skeleton) { choose(skeleton, with_socket); });
    if (!attached_->skeleton)
        throw cannot_load_bpf("the program that counts drop reasons", errno, " and drop reasons (Linux 5.17 or newer)");
    const drop_reasons_bpf& loaded = *attached_->skeleton;
    for (const bpf_program* program :
         {with_socket ? loaded.progs.count_drop_of_socket : loaded.progs.count_drop, loaded.progs.count_exception,
          loaded.progs.count_redirect, loaded.progs.count_devmap}) {
        Fd link(bpf_raw_tracepoint_open(nullptr, bpf_program__fd(program)));
        if (!link)
            throw Error::from_errno("attaching " + std::string(bpf_program__name(program)), errno);
        attached_->links.push_back(std::move(link));
    }
}

DropReasons::~DropReasons() = default;

void DropReasons::stop() noexcept { attached_.reset(); }

std::vector<DropRow> DropReasons::drops() const {
    std::vector<DropRow> rows;
    if (attached_)
        each<drop_key>(bpf_map__fd(attached_->skeleton->maps.drops), [&](const drop_key& key, std::uint64_t packets) {
            rows.push_back({key.location, key.reason, key.netns, key.ifindex, key.protocol, packets});
        });
    return rows;
}

std::vector<XdpRow> DropReasons::xdp_losses() const {
    std::vector<XdpRow> rows;
    if (attached_)
        each<xdp_key>(bpf_map__fd(attached_->skeleton->maps.xdp_losses), [&](const xdp_key& key, std::uint64_t frames) {
            rows.push_back({kind_of(key.kind), key.code, key.ifindex, key.netns, frames});
        });
    return rows;
}

std::uint64_t DropReasons::uncounted() const {
    std::uint64_t found = 0;
    if (attached_)
        each<std::uint32_t>(bpf_map__fd(attached_->skeleton->maps.uncounted),
                            [&](std::uint32_t, std::uint64_t packets) { found += packets; });
    return found;
}

std::map<std::uint32_t, std::string> drop_reason_names() {
    return values_of(kernel_btf(purpose).get(), "skb_drop_reason", "SKB_DROP_REASON_");
}

} // namespace wirepath::trace
