// SPDX-License-Identifier: Apache-2.0
#include "trace/packets/tracer.hpp"

#include <algorithm>
#include <bpf/bpf.h>
#include <cstring>
#include <ctime>
#include <fstream>
#include <set>
#include <unistd.h>

#include "core/error.hpp"
#include "trace/hooks.hpp"
#include "trace/packets/attach.hpp"
#include "trace/packets/hook_table.hpp"
#include "trace/packets/xdp_programs.hpp"

namespace wirepath::trace {
namespace {

using namespace std::chrono_literals;
using Skeleton = BpfSkeleton<follow_bpf>;

struct FreeRing {
    void operator()(ring_buffer* ring) const noexcept { ring_buffer__free(ring); }
};

// The programs wake the reader only when the ring fills.
constexpr auto look_every = 20ms;

std::int64_t now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void set_program(follow_bpf& programs, const std::vector<Instruction>& code, unsigned variant) {
    if (code.size() > trace_longest_program)
        throw Error(Code::bad_filter, "the filter is too long for the kernel: " + std::to_string(code.size()) +
                                          " instructions, of at most " + std::to_string(trace_longest_program));
    static_assert(sizeof(Instruction) == sizeof(trace_instruction));
    auto* to = const_cast<void*>(static_cast<const void*>(programs.rodata->program));
    std::memcpy(static_cast<trace_instruction*>(to) + variant * trace_longest_program, code.data(),
                code.size() * sizeof(Instruction));
    programs.rodata->program_length[variant] = static_cast<std::uint32_t>(code.size());
}

// Loads at offsets that no packet has ask the kernel for metadata.
bool asks_for_more_than_bytes(const std::vector<Instruction>& code) {
    constexpr std::uint16_t load_absolute = 0x20, class_and_mode = 0xe7;
    constexpr std::uint32_t first_of_metadata = 0xfffff000;
    return std::any_of(code.begin(), code.end(), [](const Instruction& instruction) {
        return (instruction.code & class_and_mode) == load_absolute && instruction.k >= first_of_metadata;
    });
}

const HookKind* kind_named(const std::vector<HookKind>& kinds, std::string_view name) {
    const auto found =
        std::find_if(kinds.begin(), kinds.end(), [&](const HookKind& kind) { return kind.name == name; });
    return found == kinds.end() ? nullptr : &*found;
}

bool usable(const std::vector<HookKind>& kinds, std::string_view name) {
    const HookKind* kind = kind_named(kinds, name);
    return kind != nullptr && kind->usable;
}

FunctionHooks function_hooks(const std::vector<HookKind>& kinds) {
    return usable(kinds, "kprobe_multi") ? FunctionHooks::together
           : usable(kinds, "kprobe")     ? FunctionHooks::one_by_one
                                         : FunctionHooks::none;
}

// Of 6.1 and newer, the names that ftrace can hook; empty where tracefs is not mounted.
std::set<std::string, std::less<>> traceable_functions() {
    std::set<std::string, std::less<>> names;
    for (const char* place :
         {"/sys/kernel/tracing/available_filter_functions", "/sys/kernel/debug/tracing/available_filter_functions"}) {
        std::ifstream lines(place);
        for (std::string line; std::getline(lines, line);)
            names.insert(line.substr(0, line.find(' ')));
        if (!names.empty())
            break;
    }
    return names;
}

void leave_out_untraceable(std::vector<Hook>& hooks) {
    const auto names = traceable_functions();
    for (Hook& hook : hooks)
        if (!names.empty() && hook.kind == "function" && hook.reason.empty() && !names.contains(hook.function))
            hook.reason = "this kernel does not let it be traced";
}

void leave_out(std::vector<Hook>& hooks, std::string_view kind, const std::string& reason) {
    for (Hook& hook : hooks)
        if (hook.kind == kind && hook.reason.empty())
            hook.reason = reason;
}

Error cannot_load(int err) {
    constexpr const char* what = "the programs that follow packets";
    if (err == EACCES && ::geteuid() == 0) // EPERM is the want of a right, this is the verifier's word
        return Error(Code::unsupported, std::string("loading ") + what, err,
                     "This kernel's verifier does not take them: please report it with the kernel's version");
    return cannot_load_bpf(what, err, ", Linux 6.1 or newer");
}

bool xdp_wanted(const std::vector<Hook>& hooks) {
    return std::any_of(hooks.begin(), hooks.end(), [](const Hook& hook) {
        return hook.kind == "mark" && hook.group == "xdp" && hook.reason.empty();
    });
}

} // namespace

struct Tracer::State {
    TracerOptions options;
    KernelTypes types;
    KernelSymbols symbols;
    std::vector<Hook> hooks;
    std::vector<std::string> notes;
    Skeleton programs;
    std::vector<Link> links;
    AroundXdp around_xdp;
    std::unique_ptr<ring_buffer, FreeRing> ring;
    std::int64_t to_unix_ns = 0;

    // Where read() puts what the ring gives.
    std::vector<trace_event>* events = nullptr;
    std::vector<std::uint8_t>* bytes = nullptr;

    void decide();
    void load(FunctionHooks functions);
    void attach(FunctionHooks functions);
    void open_ring();
    void take(const void* data, std::size_t size);
};

// Which hooks, as far as can be told before the kernel is asked.
void Tracer::State::decide() {
    const std::vector<HookKind> kinds = probe_hooks();
    types = read_kernel_types();
    hooks = listed_hooks(types);
    const FunctionHooks functions = function_hooks(kinds);
    if (options.all_functions && functions == FunctionHooks::together)
        add_all_functions(hooks, types);
    else if (options.all_functions)
        notes.push_back("not all functions are followed, only those that are listed: kprobe_multi: " +
                        kind_named(kinds, "kprobe_multi")->reason);
    choose(hooks, options.probes);
    if (functions == FunctionHooks::none) {
        const std::string& reason = kind_named(kinds, "kprobe")->reason;
        leave_out(hooks, "function", "this kernel allows no kprobes");
        notes.push_back("only tracepoints are followed, not the functions between them (IP, netfilter, tc, taps, "
                        "XDP): kprobe: " +
                        reason);
    } else {
        leave_out_untraceable(hooks);
    }
    if (!usable(kinds, "fexit"))
        leave_out(hooks, "copy", "this kernel allows no fexit");
    load(functions);
    attach(functions);
    if (usable(kinds, "fentry") && xdp_wanted(hooks)) {
        const QuietLibbpf quiet;
        around_xdp = attach_around_xdp(*programs);
        for (const std::string& refused : around_xdp.refused)
            notes.push_back("not followed: " + refused);
    }
}

void Tracer::State::load(FunctionHooks functions) {
    programs = try_load_skeleton<follow_bpf>([&](follow_bpf& it) {
        choose_programs(it, hooks, functions);
        set_program(it, options.with_mac, 0);
        set_program(it, options.without_mac, 1);
        it.rodata->snaplen = std::min<std::uint32_t>(options.snaplen, trace_longest_snaplen);
        it.rodata->filter_asks = asks_for_more_than_bytes(options.with_mac);
        it.rodata->limit = options.limit;
        it.rodata->wake_at = options.ring_bytes / 4;
        bpf_map__set_max_entries(it.maps.ring, options.ring_bytes);
    });
    if (!programs)
        throw cannot_load(errno);
}

void Tracer::State::attach(FunctionHooks functions) {
    const QuietLibbpf quiet;
    attach_copies(*programs, hooks, links);
    attach_tracepoints(*programs, hooks, links);
    attach_functions(*programs, hooks, functions, links);
}

void Tracer::State::open_ring() {
    const auto sample = [](void* self, void* data, std::size_t size) {
        static_cast<State*>(self)->take(data, size);
        return 0;
    };
    const QuietLibbpf quiet;
    ring.reset(ring_buffer__new(bpf_map__fd(programs->maps.ring), sample, this, nullptr));
    if (!ring)
        throw Error::from_errno("mapping the ring of events", errno);
}

void Tracer::State::take(const void* data, std::size_t size) {
    trace_event event;
    if (size < sizeof event)
        return;
    std::memcpy(&event, data, sizeof event);
    event.ts_ns += static_cast<std::uint64_t>(to_unix_ns);
    const auto* first = static_cast<const std::uint8_t*>(data) + sizeof event;
    bytes->insert(bytes->end(), first, first + event.caplen);
    events->push_back(event);
}

Tracer::Tracer(const TracerOptions& options) : state_(std::make_unique<State>()) {
    state_->options = options;
    state_->decide();
    state_->open_ring();
    state_->programs->bss->running = 1;
}

Tracer::~Tracer() { stop(); }

const std::vector<Hook>& Tracer::hooks() const noexcept { return state_->hooks; }
const std::vector<std::string>& Tracer::notes() const noexcept { return state_->notes; }

void Tracer::read(std::vector<trace_event>& events, std::vector<std::uint8_t>& bytes,
                  std::chrono::milliseconds timeout) {
    State& s = *state_;
    s.events = &events;
    s.bytes = &bytes;
    s.to_unix_ns = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC);
    const auto until = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const int taken = ring_buffer__consume(s.ring.get());
        if (taken < 0 && taken != -EINTR)
            throw Error::from_errno("reading the ring of events", -taken);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (!events.empty() || left <= 0ms)
            return;
        const int waited = ring_buffer__poll(s.ring.get(), static_cast<int>(std::min(left, look_every).count()));
        if (waited == -EINTR)
            return;
    }
}

void Tracer::stop() noexcept {
    if (!state_ || !state_->programs)
        return;
    state_->programs->bss->running = 0;
    state_->links.clear();
    state_->around_xdp.links.clear();
}

namespace {

std::uint64_t recursion_misses(const follow_bpf& programs) {
    std::uint64_t sum = 0;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, programs.obj) {
        bpf_prog_info info{};
        std::uint32_t size = sizeof info;
        const int fd = bpf_program__fd(program);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
            sum += info.recursion_misses;
    }
    return sum;
}

} // namespace

TracerCounts Tracer::counts() const {
    const auto* bss = state_->programs->bss;
    const std::uint64_t met = bss->packets, limit = state_->options.limit;
    return {limit != 0 ? std::min<std::uint64_t>(met, limit) : met, bss->lost,
            bss->missed + recursion_misses(*state_->programs)};
}

std::string Tracer::place_of(std::uint64_t location) const {
    const auto& xdp = state_->around_xdp.names;
    if (const auto program = xdp.find(location); program != xdp.end())
        return program->second;
    if (!state_->symbols.known())
        state_->symbols.read();
    return state_->symbols.name_of(location);
}

std::string Tracer::drop_reason(std::uint32_t reason) const {
    const KernelTypes& types = state_->types;
    if (const auto found = types.drop_reasons.find(reason); found != types.drop_reasons.end())
        return found->second;
    const auto subsystem = types.drop_subsystems.find(reason >> 16);
    return (subsystem == types.drop_subsystems.end() ? "subsystem " + std::to_string(reason >> 16)
                                                     : subsystem->second) +
           " " + std::to_string(reason & 0xffff);
}

std::vector<bool> judge_in_kernel(const std::vector<Instruction>& program, const std::vector<Packet>& packets) {
    const Skeleton programs = try_load_skeleton<follow_bpf>([&](follow_bpf& it) {
        choose_programs(it, {}, FunctionHooks::none);
        bpf_program__set_autoload(it.progs.judge, true);
        set_program(it, program, 0);
    });
    if (!programs)
        throw cannot_load_bpf("the program that judges packets", errno, ", Linux 6.1 or newer");
    std::vector<bool> verdicts;
    for (const Packet& packet : packets) {
        auto& bss = *programs->bss;
        const std::size_t bytes = std::min(packet.data.size(), sizeof bss.sample - 1);
        std::memcpy(bss.sample, packet.data.data(), bytes);
        bss.sample_linear = static_cast<std::uint32_t>(bytes);
        bss.sample_wirelen = packet.origlen;
        bss.sample_tci = packet.vlan_tci;
        bss.sample_tpid = packet.vlan_tpid;
        bpf_test_run_opts run{};
        run.sz = sizeof run;
        if (const int failed = bpf_prog_test_run_opts(bpf_program__fd(programs->progs.judge), &run); failed != 0)
            throw Error::from_errno("running the filter in the kernel", errno);
        verdicts.push_back(run.retval != 0);
    }
    return verdicts;
}

} // namespace wirepath::trace
