// SPDX-License-Identifier: Apache-2.0
#include "linux/packet_fanout.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath {
namespace {

constexpr std::int64_t most_members = 256;

std::uint16_t type_named(const std::string& name) { // one of the option's choices
    static constexpr std::pair<std::string_view, std::uint16_t> types[] = {
        {"lb", PACKET_FANOUT_LB},    {"cpu", PACKET_FANOUT_CPU},           {"rnd", PACKET_FANOUT_RND},
        {"qm", PACKET_FANOUT_QM},    {"rollover", PACKET_FANOUT_ROLLOVER}, {"cbpf", PACKET_FANOUT_CBPF},
        {"ebpf", PACKET_FANOUT_EBPF}};
    for (const auto& [known, type] : types)
        if (known == name)
            return type;
    return PACKET_FANOUT_HASH;
}

std::int64_t in_range(const Options& given, std::string_view name, std::int64_t least, std::int64_t most) {
    const std::int64_t value = given.integer(name);
    if (value < least || value > most)
        throw Error(Code::bad_option, std::string(name) + " cannot be " + std::to_string(value), 0,
                    "It is " + std::to_string(least) + " to " + std::to_string(most));
    return value;
}

// "4,40 0 0 12,21 0 1 2048,6 0 0 1,6 0 0 0": how many, then code, jt, jf and k of each.
std::vector<sock_filter> parse_program(std::string text) {
    std::replace(text.begin(), text.end(), ',', ' ');
    std::istringstream from(text);
    std::size_t count = 0;
    from >> count;
    std::vector<sock_filter> program;
    unsigned code, jt, jf;
    for (std::uint32_t k; program.size() < count && from >> code >> jt >> jf >> k;)
        program.push_back(
            {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(jt), static_cast<std::uint8_t>(jf), k});
    if (count == 0 || count > BPF_MAXINSNS || program.size() != count || !(from >> std::ws).eof())
        throw Error(Code::bad_option, "fanout_program is not a classic BPF program", 0,
                    "It is what tcpdump -ddd prints, with commas for newlines: 1,6 0 0 0");
    return program;
}

} // namespace

Fanout::Fanout(const Options& given)
    : members_(static_cast<std::uint16_t>(in_range(given, "fanout", 1, most_members))),
      shared_(given.integer("fanout_group") != 0), type_name_(given.text("fanout_type")),
      program_(given.text("fanout_program")), type_(type_named(type_name_)) {
    if (const std::int64_t group = in_range(given, "fanout_group", 0, 65535); shared_)
        group_ = static_cast<std::uint16_t>(group);
    if (given.flag("fanout_defrag"))
        flags_ |= PACKET_FANOUT_FLAG_DEFRAG;
    if (given.flag("fanout_rollover"))
        flags_ |= PACKET_FANOUT_FLAG_ROLLOVER;
    const bool wants_program = type_ == PACKET_FANOUT_CBPF || type_ == PACKET_FANOUT_EBPF;
    if (wants_program == program_.empty())
        throw Error(Code::bad_option, wants_program ? "fanout_type " + type_name_ + " needs a fanout_program"
                                                    : "fanout_program has no meaning with fanout_type " + type_name_);
    if (type_ == PACKET_FANOUT_CBPF)
        parse_program(program_);
}

std::string Fanout::description() const {
    return "fanout over " + std::to_string(members_) + " sockets by " + type_name_ +
           ((flags_ & PACKET_FANOUT_FLAG_DEFRAG) != 0 ? ", defragmented" : "") +
           ((flags_ & PACKET_FANOUT_FLAG_ROLLOVER) != 0 ? ", rolling over" : "");
}

void Fanout::join(PacketSocket& socket) {
    const std::lock_guard lock(mutex_);
    const bool first = !group_;
    const unsigned flags = type_ | flags_ | (first ? PACKET_FANOUT_FLAG_UNIQUEID : 0u);
    socket.set(PACKET_FANOUT, group_.value_or(0) | flags << 16, "joining a fanout group");
    if (first) {
        std::uint32_t made = 0;
        socklen_t size = sizeof made;
        ::getsockopt(socket.fd(), SOL_PACKET, PACKET_FANOUT, &made, &size);
        group_ = static_cast<std::uint16_t>(made);
    }
    if (type_ == PACKET_FANOUT_CBPF)
        load_classic(socket);
    else if (type_ == PACKET_FANOUT_EBPF)
        load_extended(socket);
}

void Fanout::load_classic(PacketSocket& socket) const {
    std::vector<sock_filter> program = parse_program(program_);
    const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
    socket.set(PACKET_FANOUT_DATA, whole, "loading the fanout program");
}

void Fanout::load_extended(PacketSocket& socket) const {
    bpf_attr attributes{};
    attributes.pathname = reinterpret_cast<std::uintptr_t>(program_.c_str());
    const Fd program(static_cast<int>(::syscall(SYS_bpf, BPF_OBJ_GET, &attributes, sizeof attributes)));
    if (!program)
        throw Error::from_errno("opening the fanout program " + program_, errno,
                                "Pin one first: bpftool prog load FILE " + program_ + " type socket");
    socket.set(PACKET_FANOUT_DATA, program.get(), "loading the fanout program");
}

} // namespace wirepath
