// SPDX-License-Identifier: Apache-2.0
// Loading BPF programs with libbpf: quietly, and with errors that say what would help. Only what is built with libbpf
// includes this.
#pragma once

#include <bpf/libbpf.h>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "linux/bpf_program.hpp"

namespace wirepath {

// libbpf prints to standard error unless told otherwise, and has one switch for the whole process.
class QuietLibbpf {
  public:
    QuietLibbpf() : before_(libbpf_set_print(nullptr)) {}
    QuietLibbpf(const QuietLibbpf&) = delete;
    QuietLibbpf& operator=(const QuietLibbpf&) = delete;
    ~QuietLibbpf() { libbpf_set_print(before_); }

  private:
    libbpf_print_fn_t before_;
};

// Owns a skeleton that bpftool made: BpfSkeleton<redirect_bpf>. Programs attached through it are detached with it.
template <typename S>
struct DestroySkeleton {
    void operator()(S* skeleton) const noexcept { S::destroy(skeleton); }
};
template <typename S>
using BpfSkeleton = std::unique_ptr<S, DestroySkeleton<S>>;

// nullptr and errno if the kernel does not take it. configure(S&) chooses programs and sizes before it is loaded.
template <typename S, typename F>
BpfSkeleton<S> try_load_opened(BpfSkeleton<S> skeleton, F&& configure) {
    if (skeleton == nullptr)
        return nullptr;
    configure(*skeleton);
    if (const int failed = S::load(skeleton.get()); failed != 0) {
        errno = -failed;
        return nullptr;
    }
    return skeleton;
}

template <typename S, typename F>
BpfSkeleton<S> try_load_skeleton(F&& configure) {
    const QuietLibbpf quiet;
    return try_load_opened(BpfSkeleton<S>(S::open()), configure);
}

// A program as libbpf loaded it: its maps, types and kernel functions are found. ifindex: of the device that it is
// bound to.
inline BpfProgram loaded_program(const bpf_program* program, std::uint32_t ifindex = 0) {
    const bpf_insn* first = bpf_program__insns(program);
    return {bpf_program__name(program),
            bpf_program__type(program),
            static_cast<std::uint32_t>(bpf_program__expected_attach_type(program)),
            bpf_program__flags(program),
            ifindex,
            {first, first + bpf_program__insn_cnt(program)}};
}

// The Error of a program that the kernel did not take. what: "the XDP program"; needs: what beside BPF and its type
// information the kernel must have.
inline Error cannot_load_bpf(std::string_view what, int err, std::string_view needs) {
    const std::string doing = "loading " + std::string(what);
    if (err == EPERM || err == EACCES)
        return Error(Code::permission, doing, err,
                     "This needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (in the initial user namespace): run with "
                     "sudo, or with setpriv --ambient-caps +bpf,+net_admin,+net_raw,+perfmon,+ipc_lock");
    return Error(Code::unsupported, doing, err,
                 "The kernel needs BPF with type information (CONFIG_DEBUG_INFO_BTF)" + std::string(needs));
}

} // namespace wirepath
