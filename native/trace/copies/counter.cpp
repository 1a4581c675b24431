// SPDX-License-Identifier: Apache-2.0
#include "trace/copies/counter.hpp"

#include <atomic>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <set>
#include <sys/syscall.h>

#include "linux/bpf.hpp"
#include "trace/copies/choice.hpp"
#include "trace/copies/shared.h"
#include "trace/link.hpp"
// after shared.h, whose types it names
#include <copies.skel.h>

namespace wirepath::trace {
namespace {

// What receives packets asks for these; others are told by their numbers.
struct SystemCall {
    std::uint32_t number;
    const char* name;
};
constexpr SystemCall system_calls[] = {
#define NAMED(name) {SYS_##name, #name}
    NAMED(read),
    NAMED(write),
    NAMED(readv),
    NAMED(recvfrom),
    NAMED(recvmsg),
    NAMED(recvmmsg),
    NAMED(sendto),
    NAMED(sendmsg),
    NAMED(ppoll),
    NAMED(pselect6),
    NAMED(epoll_ctl),
    NAMED(epoll_pwait),
    NAMED(getsockopt),
    NAMED(setsockopt),
    NAMED(ioctl),
    NAMED(futex),
    NAMED(nanosleep),
    NAMED(clock_gettime),
    NAMED(mmap),
    NAMED(munmap),
    NAMED(madvise),
    NAMED(brk),
    NAMED(mprotect),
    NAMED(mremap),
    NAMED(sched_yield),
    NAMED(getpid),
    NAMED(io_uring_enter),
    NAMED(clock_nanosleep),
    NAMED(restart_syscall),
    NAMED(rt_sigprocmask),
#ifdef SYS_poll
    NAMED(poll),
    NAMED(epoll_wait),
#endif
#undef NAMED
};

std::string system_call_name(std::uint32_t number) {
    for (const SystemCall& call : system_calls)
        if (call.number == number)
            return call.name;
    return "system call " + std::to_string(number);
}

void write_once(unsigned long long& to, unsigned long long value) noexcept {
    std::atomic_ref<unsigned long long>(to).store(value, std::memory_order_seq_cst);
}

// A value of each CPU.
template <typename T>
class PerCpu {
  public:
    PerCpu(bpf_map* map, std::string_view what) : fd_(bpf_map__fd(map)), what_(what) {
        const int cpus = libbpf_num_possible_cpus();
        if (cpus < 0)
            throw Error::from_errno("counting the CPUs", -cpus);
        values_.resize(static_cast<std::size_t>(cpus));
    }

    template <typename F>
    void each(std::uint32_t key, F&& use) {
        if (bpf_map_lookup_elem(fd_, &key, values_.data()) != 0)
            throw Error::from_errno("reading " + std::string(what_) + " from the kernel", errno);
        for (const T& value : values_)
            use(value);
    }

    std::uint64_t sum(std::uint32_t key) {
        std::uint64_t total = 0;
        each(key, [&](const T& value) { total += value; });
        return total;
    }

  private:
    int fd_;
    std::string_view what_;
    std::vector<T> values_;
};

CopyTally tally_of(PerCpu<copies_tally>& tallies, std::size_t hook, copies_side side) {
    CopyTally sum{};
    tallies.each(static_cast<std::uint32_t>(hook * COPIES_SIDES + side), [&](const copies_tally& one) {
        sum.calls += one.calls;
        sum.bytes += one.bytes;
    });
    return sum;
}

} // namespace

struct CopyCounter::State {
    std::vector<CopyHook> hooks = copy_hooks();
    BpfSkeleton<copies_bpf> skeleton;
    std::vector<Link> links;

    State() {
        const QuietLibbpf quiet;
        std::vector<Candidate> candidates = load([](const Candidate&) { return true; });
        if (skeleton == nullptr)
            candidates = load_without_refused(candidates);
        if (skeleton == nullptr)
            throw cannot_load_bpf("the programs that count copies", errno, "");
        for (const Candidate& candidate : candidates)
            attach(candidate);
        for (const Observation& row : copy_observations())
            if (row.by == HookBy::other_hook)
                derive(hooks[row.hook], hooks[row.from]);
    }

    // Of the programs that this kernel has the functions for, those wanted; no skeleton if it takes not all of them.
    template <typename F>
    std::vector<Candidate> load(F&& wanted) {
        std::vector<Candidate> loaded;
        skeleton = try_load_skeleton<copies_bpf>([&](copies_bpf& opened) {
            for (Candidate& candidate : choose_programs(opened.obj, hooks)) {
                bpf_program__set_autoload(candidate.program, wanted(candidate));
                if (wanted(candidate))
                    loaded.push_back(std::move(candidate));
            }
        });
        return loaded;
    }

    // One program that a kernel's verifier refuses must not cost all others: each is tried alone.
    std::vector<Candidate> load_without_refused(const std::vector<Candidate>& all) {
        std::set<std::string> refused;
        for (const Candidate& one : all) {
            load([&](const Candidate& other) { return other.name() == one.name(); });
            if (skeleton == nullptr) {
                refused.insert(one.name());
                hooks[one.hook].reason = one.name() + ": this kernel refuses our program: " + std::strerror(errno);
            }
        }
        return load([&](const Candidate& candidate) { return !refused.contains(candidate.name()); });
    }

    void attach(const Candidate& candidate) {
        CopyHook& hook = hooks[candidate.hook];
        if (!hook.observed_by.empty())
            return;
        Link link(candidate.kind == "kprobe"
                      ? bpf_program__attach_kprobe(candidate.program, false, candidate.target.c_str())
                      : bpf_program__attach(candidate.program));
        if (link == nullptr) {
            hook.reason +=
                (hook.reason.empty() ? "" : "; ") + candidate.name() + ": attaching: " + std::strerror(errno);
            return;
        }
        links.push_back(std::move(link));
        hook.observed_by = candidate.name();
        hook.reason.clear();
    }

    static void derive(CopyHook& hook, const CopyHook& from) {
        hook.observed_by = from.observed_by;
        hook.reason = from.reason;
    }
};

CopyCounter::CopyCounter() : state_(std::make_unique<State>()) {}
CopyCounter::~CopyCounter() = default;

const std::vector<CopyHook>& CopyCounter::hooks() const noexcept { return state_->hooks; }

void CopyCounter::count(const KnownPackets& packets) noexcept {
    pause();
    copies_settings& settings = state_->skeleton->bss->settings;
    leave();
    settings.first = packets.first;
    settings.frame_bytes = packets.frame_bytes;
    settings.receiver = {packets.receiver.netns, packets.receiver.ifindex};
    settings.sender = {packets.sender.netns, packets.sender.ifindex};
    write_once(settings.packets, packets.count);
}

void CopyCounter::receive_here() {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    if (bpf_prog_test_run_opts(bpf_program__fd(state_->skeleton->progs.adopt), &options) != 0)
        throw Error::from_errno("telling the counting programs who receives", errno);
}

void CopyCounter::leave() noexcept {
    std::atomic_ref<unsigned>(state_->skeleton->bss->settings.thread).store(0, std::memory_order_seq_cst);
}

void CopyCounter::pause() noexcept { write_once(state_->skeleton->bss->settings.packets, 0); }

CopyCounts CopyCounter::read() const {
    CopyCounts counts;
    PerCpu<copies_tally> tallies(state_->skeleton->maps.tallies, "the counts of copies");
    for (std::size_t hook = 0; hook < state_->hooks.size(); ++hook) {
        counts.receiver.push_back(tally_of(tallies, hook, COPIES_RECEIVER));
        counts.sender.push_back(tally_of(tallies, hook, COPIES_SENDER));
    }
    PerCpu<std::uint64_t> calls(state_->skeleton->maps.syscalls, "the system calls");
    for (std::uint32_t number = 0; number < COPIES_SYSCALLS; ++number)
        if (const std::uint64_t sum = calls.sum(number); sum != 0)
            counts.system_calls[system_call_name(number)] += sum;
    PerCpu<std::uint64_t> irqs(state_->skeleton->maps.irqs, "the interrupts");
    for (std::uint32_t number = 0; number < COPIES_IRQS; ++number)
        if (const std::uint64_t sum = irqs.sum(number); sum != 0)
            counts.interrupts[number] = sum;
    return counts;
}

} // namespace wirepath::trace
