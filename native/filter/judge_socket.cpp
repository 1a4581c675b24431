// SPDX-License-Identifier: Apache-2.0
// A pair of sockets of this host's own (AF_UNIX): what the filter of one rejects, it does not get from the other. No
// privilege is needed, no header is put before the bytes, and long packets lie in several pages, as at a NIC.
#include <array>
#include <cerrno>
#include <linux/filter.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "filter/ebpf.hpp"
#include "filter/judge.hpp"
#include "linux/fd.hpp"

namespace wirepath {
namespace {

constexpr std::string_view too_long = "longer than a datagram";

class SocketJudge final : public Judge {
  public:
    explicit SocketJudge(const Filter& filter) : asks_for_length_(asks_for_length(filter.program())) {
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
            throw Error::from_errno("making a pair of sockets for a filter", errno);
        near_ = Fd(pair[0]);
        far_ = Fd(pair[1]);
    }

    void attach_classic(std::span<const Instruction> program) {
        static_assert(sizeof(Instruction) == sizeof(sock_filter));
        const sock_fprog attached = {
            static_cast<unsigned short>(program.size()),
            const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.data()))}; // which reads it
        attach(SO_ATTACH_FILTER, &attached, sizeof attached);
    }

    void attach_ebpf(std::span<const Instruction> program) {
        const Fd loaded = load_filter(program, Hook::socket);
        const int fd = loaded.get();
        attach(SO_ATTACH_BPF, &fd, sizeof fd);
    }

    Verdict judge(const Packet& packet) override {
        if (packet.vlan_tpid != 0)
            return {false, tag_beside};
        if (asks_for_length_ && packet.origlen != packet.data.size())
            return {false, cut_short};
        if (::send(near_.get(), packet.data.data(), packet.data.size(), 0) < 0) {
            if (errno == EMSGSIZE || errno == ENOBUFS)
                return {false, too_long};
            throw Error::from_errno("sending a packet to a socket with a filter", errno);
        }
        std::byte unused;
        return {::recv(far_.get(), &unused, sizeof unused, 0) >= 0, {}};
    }

  private:
    void attach(int option, const void* value, socklen_t size) {
        if (::setsockopt(far_.get(), SOL_SOCKET, option, value, size) != 0)
            throw Error::from_errno("attaching a filter to a socket", errno);
    }

    bool asks_for_length_;
    Fd near_, far_;
};

} // namespace

std::unique_ptr<Judge> make_socket_judge(const Filter& filter) {
    auto judge = std::make_unique<SocketJudge>(filter);
    judge->attach_classic(filter.program());
    return judge;
}

std::unique_ptr<Judge> make_ebpf_socket_judge(const Filter& filter) {
    auto judge = std::make_unique<SocketJudge>(filter);
    judge->attach_ebpf(filter.program());
    return judge;
}

} // namespace wirepath
