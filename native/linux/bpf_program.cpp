// SPDX-License-Identifier: Apache-2.0
#include "linux/bpf_program.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath {
namespace {

constexpr std::size_t log_bytes = 1 << 20;
constexpr const char* license = "Dual BSD/GPL"; // what the programs that this is for have

long bpf(int command, bpf_attr& attributes) { return ::syscall(SYS_bpf, command, &attributes, sizeof attributes); }

std::uint64_t address_of(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory); }

bpf_attr attributes_of(const BpfProgram& program) {
    bpf_attr attributes{};
    attributes.prog_type = program.type;
    attributes.expected_attach_type = program.attach_type;
    attributes.prog_flags = program.flags;
    attributes.prog_ifindex = program.ifindex;
    attributes.insns = address_of(program.instructions.data());
    attributes.insn_cnt = static_cast<std::uint32_t>(program.instructions.size());
    attributes.license = address_of(license);
    attributes.prog_btf_fd = program.types;
    attributes.func_info = address_of(program.functions.data());
    attributes.func_info_cnt = static_cast<std::uint32_t>(program.functions.size());
    attributes.func_info_rec_size = program.functions.empty() ? 0 : sizeof(bpf_func_info);
    program.name.copy(attributes.prog_name, sizeof attributes.prog_name - 1);
    return attributes;
}

// Where it is, counted from the next instruction, is then its number.
bool names_function(const bpf_insn& i) {
    return (i.code == (BPF_JMP | BPF_CALL) && i.src_reg == BPF_PSEUDO_CALL) ||
           (i.code == (BPF_LD | BPF_IMM | BPF_DW) && i.src_reg == BPF_PSEUDO_FUNC);
}

// A signal interrupts the verifier.
Fd try_load(bpf_attr attributes) {
    constexpr int attempts = 5;
    for (int attempt = 1;; ++attempt) {
        Fd fd(static_cast<int>(bpf(BPF_PROG_LOAD, attributes)));
        if (fd || errno != EAGAIN || attempt == attempts)
            return fd;
    }
}

// The last thing that it says before it counts what it did.
std::string complaint_in(std::string_view log) {
    while (!log.empty()) {
        const std::size_t newline = log.substr(0, log.size() - 1).rfind('\n');
        const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
        std::string_view line = log.substr(begin);
        log = log.substr(0, begin);
        if (!line.empty() && line.back() == '\n')
            line.remove_suffix(1);
        if (!line.empty() && !line.starts_with("processed ") && !line.starts_with("verification time") &&
            !line.starts_with("stack depth"))
            return std::string(line);
    }
    return {};
}

std::string complaint_about(bpf_attr attributes) {
    std::string log(log_bytes, '\0');
    attributes.log_buf = address_of(log.data());
    attributes.log_size = static_cast<std::uint32_t>(log.size());
    attributes.log_level = 1;
    const Fd unexpected = try_load(attributes);
    return complaint_in(std::string_view(log.c_str()));
}

Error cannot_load(const BpfProgram& program, bpf_attr attributes, int err) {
    const std::string doing = "loading the BPF program " + program.name;
    if (err == EPERM)
        return Error(Code::permission, doing, err,
                     "This needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (in the initial user namespace): run with "
                     "sudo, or with setpriv --ambient-caps +bpf,+net_admin,+net_raw,+perfmon");
    const std::string complaint = complaint_about(attributes);
    return Error(Code::unsupported, doing + (complaint.empty() ? "" : ": the kernel's verifier says: " + complaint),
                 err, "Please report it, with the filter and the kernel's version");
}

} // namespace

void describe_functions(BpfProgram& program, std::uint32_t types, std::uint32_t type) {
    std::set<std::uint32_t> starts = {0};
    for (std::size_t at = 0; at < program.instructions.size(); ++at)
        if (names_function(program.instructions[at]))
            starts.insert(static_cast<std::uint32_t>(at + 1) +
                          static_cast<std::uint32_t>(program.instructions[at].imm));
    program.types = types;
    program.functions.clear();
    for (const std::uint32_t start : starts)
        program.functions.push_back({start, type});
}

Fd load_bpf_program(const BpfProgram& program) {
    const bpf_attr attributes = attributes_of(program);
    Fd fd = try_load(attributes);
    if (!fd)
        throw cannot_load(program, attributes, errno);
    return fd;
}

BpfProgramInfo bpf_program_info(int program) {
    bpf_prog_info info{};
    bpf_attr attributes{};
    attributes.info.bpf_fd = static_cast<std::uint32_t>(program);
    attributes.info.info_len = sizeof info;
    attributes.info.info = address_of(&info);
    if (bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) != 0)
        throw Error::from_errno("asking what the kernel made of a BPF program", errno);
    return {info.id, info.jited_prog_len, info.xlated_prog_len, info.verified_insns};
}

int test_bpf_program(int program, std::span<const std::byte> packet, std::span<const std::byte> context,
                     std::uint32_t& result) noexcept {
    bpf_attr attributes{};
    attributes.test.prog_fd = static_cast<std::uint32_t>(program);
    attributes.test.data_in = address_of(packet.data());
    attributes.test.data_size_in = static_cast<std::uint32_t>(packet.size());
    attributes.test.ctx_in = address_of(context.data());
    attributes.test.ctx_size_in = static_cast<std::uint32_t>(context.size());
    while (bpf(BPF_PROG_TEST_RUN, attributes) != 0)
        if (errno != EINTR)
            return errno;
    result = attributes.test.retval;
    return 0;
}

} // namespace wirepath
