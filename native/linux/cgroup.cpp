// SPDX-License-Identifier: Apache-2.0
#include "linux/cgroup.hpp"

#include <array>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace wirepath {
namespace {

constexpr int handle_of_kernfs = 0xfe; // FILEID_KERNFS: what follows is the file's id

Fd mounted_at(const char* path) {
    Fd root(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct statfs found{};
    if (!root || ::fstatfs(root.get(), &found) != 0 || found.f_type != CGROUP2_SUPER_MAGIC)
        return {};
    return root;
}

Fd mount_unseen() {
    const Fd context(static_cast<int>(::syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC)));
    if (!context || ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return {};
    const Fd mount(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
    return mount ? Fd(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : Fd();
}

std::string path_of_fd(int fd) {
    std::array<char, PATH_MAX> path;
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
    return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

} // namespace

Cgroups Cgroups::open() {
    Cgroups cgroups;
    for (const char* place : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
        if (!cgroups.root_)
            cgroups.root_ = mounted_at(place);
    if (!cgroups.root_)
        cgroups.root_ = mount_unseen();
    return cgroups;
}

std::string Cgroups::path_of(std::uint64_t id) const {
    alignas(file_handle) std::array<std::byte, sizeof(file_handle) + sizeof id> room{};
    auto* handle = reinterpret_cast<file_handle*>(room.data());
    handle->handle_bytes = sizeof id;
    handle->handle_type = handle_of_kernfs;
    std::memcpy(handle->f_handle, &id, sizeof id);
    const Fd found(::open_by_handle_at(root_.get(), handle, O_PATH | O_CLOEXEC));
    const std::string root = root_ ? path_of_fd(root_.get()) : std::string();
    std::string path = found ? path_of_fd(found.get()) : std::string();
    if (root.empty() || path.compare(0, root.size(), root) != 0)
        return {};
    path.erase(0, root == "/" ? 0 : root.size());
    return path.empty() ? "/" : path;
}

} // namespace wirepath
