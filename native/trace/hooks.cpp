// SPDX-License-Identifier: Apache-2.0
#include "trace/hooks.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/bpf.hpp"
#include "linux/fd.hpp"

namespace wirepath::trace {
namespace {

constexpr const char* function = "skb_copy_expand";
constexpr const char* tracepoint = "kfree_skb";
constexpr const char* kprobe_type = "/sys/bus/event_source/devices/kprobe/type";

// What failed, and with which errno; a usable hook has neither.
struct Outcome {
    std::string_view doing;
    int err = 0;
};

Outcome failed(std::string_view doing) { return {doing, errno}; }

Fd empty_program(bpf_prog_type type, bpf_attach_type attach, int btf_id) {
    const bpf_insn nothing[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_prog_load_opts options{};
    options.sz = sizeof options;
    options.expected_attach_type = attach;
    options.attach_btf_id = static_cast<std::uint32_t>(btf_id);
    return Fd(bpf_prog_load(type, "wirepath_probe", "GPL", nothing, std::size(nothing), &options));
}

Outcome try_raw_tracepoint() {
    const Fd program = empty_program(BPF_PROG_TYPE_RAW_TRACEPOINT, {}, 0);
    if (!program)
        return failed("loading a program for it");
    return Fd(bpf_raw_tracepoint_open(tracepoint, program.get())) ? Outcome{} : failed("attaching to kfree_skb");
}

Outcome try_tracing(const char* name, bpf_attach_type attach) {
    const int btf_id = libbpf_find_vmlinux_btf_id(name, attach);
    if (btf_id < 0) {
        errno = -btf_id;
        return failed("looking for it in the kernel's type information (/sys/kernel/btf/vmlinux)");
    }
    const Fd program = empty_program(BPF_PROG_TYPE_TRACING, attach, btf_id);
    if (!program)
        return failed("loading a program for it");
    return Fd(bpf_raw_tracepoint_open(nullptr, program.get())) ? Outcome{} : failed("attaching");
}

Outcome try_kprobe() {
    int type = -1;
    if (!(std::ifstream(kprobe_type) >> type)) {
        errno = ENOENT;
        return failed("looking for kprobes (CONFIG_KPROBE_EVENTS)");
    }
    const Fd program = empty_program(BPF_PROG_TYPE_KPROBE, {}, 0);
    if (!program)
        return failed("loading a program for it");
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = static_cast<std::uint32_t>(type);
    attributes.kprobe_func = reinterpret_cast<std::uint64_t>(function);
    const Fd event(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!event)
        return failed("making the probe (perf_event_open)");
    return Fd(bpf_link_create(program.get(), event.get(), BPF_PERF_EVENT, nullptr)) ? Outcome{} : failed("attaching");
}

Outcome try_kprobe_multi() {
    const Fd program = empty_program(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, 0);
    if (!program)
        return failed("loading a program for it");
    const char* names[] = {function};
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.kprobe_multi.cnt = 1;
    options.kprobe_multi.syms = names;
    return Fd(bpf_link_create(program.get(), 0, BPF_TRACE_KPROBE_MULTI, &options)) ? Outcome{} : failed("attaching");
}

// "none integrity [confidentiality]": the word in brackets.
std::string lockdown() {
    std::string text;
    std::getline(std::ifstream("/sys/kernel/security/lockdown"), text);
    const std::size_t from = text.find('['), to = text.find(']');
    return from == std::string::npos || to == std::string::npos ? "" : text.substr(from + 1, to - from - 1);
}

std::string explain(const Outcome& outcome) {
    if (outcome.err == 0)
        return {};
    std::string text = std::string(outcome.doing) + ": " + std::strerror(outcome.err);
    if (outcome.err != EPERM && outcome.err != EACCES)
        return text;
    if (::geteuid() != 0)
        return text + " (it needs CAP_BPF and CAP_PERFMON in the initial user namespace: run with sudo)";
    const std::string locked = lockdown();
    if (locked.empty() || locked == "none")
        return text + " (also for root: this kernel, or its lockdown(7), forbids it)";
    return text + " (also for root: the kernel is locked down: " + locked + ")";
}

HookKind row(std::string_view name, const Outcome& outcome) { return {name, outcome.err == 0, explain(outcome)}; }

} // namespace

std::vector<HookKind> probe_hooks() {
    const QuietLibbpf quiet;
    return {
        row("raw_tracepoint", try_raw_tracepoint()),
        row("tp_btf", try_tracing(tracepoint, BPF_TRACE_RAW_TP)),
        row("fentry", try_tracing(function, BPF_TRACE_FENTRY)),
        row("fexit", try_tracing(function, BPF_TRACE_FEXIT)),
        row("kprobe", try_kprobe()),
        row("kprobe_multi", try_kprobe_multi()),
    };
}

} // namespace wirepath::trace
