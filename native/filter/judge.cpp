// SPDX-License-Identifier: Apache-2.0
#include "filter/judge.hpp"

#include <algorithm>
#include <linux/filter.h>

namespace wirepath {
namespace {

class PipelineJudge final : public Judge {
  public:
    explicit PipelineJudge(const Filter& filter) : filter_(filter) {}
    Verdict judge(const Packet& packet) override { return {filter_.matches(packet), {}}; }

  private:
    const Filter& filter_;
};

std::unique_ptr<Judge> make_pipeline_judge(const Filter& filter) { return std::make_unique<PipelineJudge>(filter); }

constexpr JudgeKind kinds[] = {
    {"libpcap", "pcap_offline_filter(3PCAP), what tcpdump -r runs", make_libpcap_judge},
    {"pipeline", "Wirepath's own classic BPF machine", make_pipeline_judge},
    {"socket", "the kernel's classic BPF, attached to a socket", make_socket_judge},
    {"socket_ebpf", "Wirepath's eBPF, attached to a socket", make_ebpf_socket_judge},
    {"tc", "Wirepath's eBPF at tc (BPF_PROG_TEST_RUN)", make_tc_judge},
    {"xdp", "Wirepath's eBPF at XDP (BPF_PROG_TEST_RUN)", make_xdp_judge},
};

} // namespace

std::span<const JudgeKind> judge_kinds() noexcept { return kinds; }

bool asks_for_length(std::span<const Instruction> program) noexcept {
    return std::ranges::any_of(program, [](const Instruction& i) {
        return (BPF_CLASS(i.code) == BPF_LD || BPF_CLASS(i.code) == BPF_LDX) && BPF_MODE(i.code) == BPF_LEN;
    });
}

} // namespace wirepath
