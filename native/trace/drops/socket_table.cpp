// SPDX-License-Identifier: Apache-2.0
#include "trace/drops/socket_table.hpp"

#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <socket_table.skel.h>
#include <unistd.h>

#include "linux/bpf.hpp"

namespace wirepath::trace {

SocketTable::SocketTable() {
    const BpfSkeleton<socket_table_bpf> skeleton = try_load_skeleton<socket_table_bpf>([](socket_table_bpf&) {});
    if (!skeleton)
        throw cannot_load_bpf("the program that lists sockets", errno,
                              " and iterators over files, Linux 5.11 or newer");
    link_ = Fd(bpf_link_create(bpf_program__fd(skeleton->progs.list_sockets), 0, BPF_TRACE_ITER, nullptr));
    if (!link_)
        throw Error::from_errno("attaching the program that lists sockets", errno);
}

std::vector<socket_record> SocketTable::read() const {
    const Fd iterator(bpf_iter_create(link_.get()));
    if (!iterator)
        throw Error::from_errno("listing sockets", errno);
    std::vector<char> bytes;
    std::array<char, 65536> piece;
    while (true) {
        const ssize_t got = ::read(iterator.get(), piece.data(), piece.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0)
            throw Error::from_errno("listing sockets", errno);
        if (got == 0)
            break;
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
    }
    std::vector<socket_record> records(bytes.size() / sizeof(socket_record));
    std::memcpy(records.data(), bytes.data(), records.size() * sizeof(socket_record));
    return records;
}

} // namespace wirepath::trace
