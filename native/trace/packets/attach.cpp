// SPDX-License-Identifier: Apache-2.0
#include "trace/packets/attach.hpp"

#include <cerrno>
#include <cstring>
#include <span>
#include <string>

namespace wirepath::trace {
namespace {

constexpr unsigned arguments = 5;

// Programs at tracepoints that do not carry an skb. A kernel may lack them.
using Programs = decltype(follow_bpf::progs);
constexpr bpf_program* Programs::* marks[] = {&Programs::gro_received, &Programs::gro_received_pages,
                                              &Programs::socket_woken, &Programs::socket_read};

bpf_program* named(const follow_bpf& programs, const std::string& name) {
    return bpf_object__find_program_by_name(programs.obj, name.c_str());
}

bpf_program* for_argument(const follow_bpf& programs, unsigned argument, FunctionHooks how) {
    return named(programs, (how == FunctionHooks::together ? "functions" : "function") + std::to_string(argument));
}

bool in_use(const Hook& hook) { return hook.reason.empty(); }

std::uint64_t cookie_of(std::size_t row, const Hook& hook) {
    return static_cast<std::uint64_t>(hook.flags) << 32 | row;
}

std::string refusal(int err) { return std::string("the kernel refuses it: ") + std::strerror(err); }

// A hook, to be attached together with others.
struct Wanted {
    Hook* hook;
    std::uint64_t cookie;
};

Link attach_together(bpf_program* program, std::span<const Wanted> wanted) {
    std::vector<const char*> names;
    std::vector<std::uint64_t> cookies;
    for (const Wanted& one : wanted) {
        names.push_back(one.hook->function.c_str());
        cookies.push_back(one.cookie);
    }
    bpf_kprobe_multi_opts options{};
    options.sz = sizeof options;
    options.syms = names.data();
    options.cookies = reinterpret_cast<const __u64*>(cookies.data());
    options.cnt = names.size();
    return Link(bpf_program__attach_kprobe_multi_opts(program, nullptr, &options));
}

// One name that the kernel does not take spoils the call for all: by halves, until it is found.
void attach_halves(bpf_program* program, std::span<const Wanted> wanted, std::vector<Link>& links) {
    if (wanted.empty())
        return;
    if (Link link = attach_together(program, wanted)) {
        links.push_back(std::move(link));
    } else if (wanted.size() == 1) {
        wanted.front().hook->reason = refusal(errno);
    } else {
        attach_halves(program, wanted.first(wanted.size() / 2), links);
        attach_halves(program, wanted.subspan(wanted.size() / 2), links);
    }
}

void attach_one_by_one(bpf_program* program, std::span<const Wanted> wanted, std::vector<Link>& links) {
    for (const Wanted& one : wanted) {
        bpf_kprobe_opts options{};
        options.sz = sizeof options;
        options.bpf_cookie = one.cookie;
        if (Link link{bpf_program__attach_kprobe_opts(program, one.hook->function.c_str(), &options)})
            links.push_back(std::move(link));
        else
            one.hook->reason = refusal(errno);
    }
}

void attach_or_say_why(bpf_program* program, Hook& hook, std::vector<Link>& links) {
    if (Link link{bpf_program__attach(program)})
        links.push_back(std::move(link));
    else
        hook.reason = errno == ENOENT || errno == EINVAL ? "this kernel has no such tracepoint" : refusal(errno);
}

} // namespace

void choose_programs(const follow_bpf& programs, const std::vector<Hook>& hooks, FunctionHooks functions) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, programs.obj) bpf_program__set_autoload(program, false);
    for (const auto mark : marks)
        bpf_program__set_autoload(programs.progs.*mark, !hooks.empty());
    for (const Hook& hook : hooks) {
        if (!in_use(hook))
            continue;
        if (hook.kind == "tracepoint")
            bpf_program__set_autoload(named(programs, "on_" + hook.function), true);
        else if (hook.kind == "copy")
            bpf_program__set_autoload(named(programs, "copied_" + hook.function), true);
        else if (hook.kind == "function" && functions != FunctionHooks::none)
            bpf_program__set_autoload(for_argument(programs, hook.argument, functions), true);
    }
}

void attach_tracepoints(const follow_bpf& programs, std::vector<Hook>& hooks, std::vector<Link>& links) {
    for (Hook& hook : hooks)
        if (hook.kind == "tracepoint" && in_use(hook))
            attach_or_say_why(named(programs, "on_" + hook.function), hook, links);
    for (const auto mark : marks)
        if (Link link{bpf_program__attach(programs.progs.*mark)})
            links.push_back(std::move(link));
}

void attach_copies(const follow_bpf& programs, std::vector<Hook>& hooks, std::vector<Link>& links) {
    for (Hook& hook : hooks)
        if (hook.kind == "copy" && in_use(hook))
            attach_or_say_why(named(programs, "copied_" + hook.function), hook, links);
}

void attach_functions(const follow_bpf& programs, std::vector<Hook>& hooks, FunctionHooks how,
                      std::vector<Link>& links) {
    for (unsigned argument = 1; argument <= arguments && how != FunctionHooks::none; ++argument) {
        std::vector<Wanted> wanted;
        for (std::size_t row = 0; row < hooks.size(); ++row)
            if (hooks[row].kind == "function" && in_use(hooks[row]) && hooks[row].argument == argument)
                wanted.push_back({&hooks[row], cookie_of(row, hooks[row])});
        bpf_program* program = for_argument(programs, argument, how);
        if (how == FunctionHooks::together)
            attach_halves(program, wanted, links);
        else
            attach_one_by_one(program, wanted, links);
    }
}

} // namespace wirepath::trace
