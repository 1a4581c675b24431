// SPDX-License-Identifier: Apache-2.0
#include "linux/sysfs.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace wirepath {
namespace {

constexpr unsigned close_on_exec = 1; // FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC of <linux/mount.h>, which <sys/mount.h>
constexpr unsigned create = 6;        // does not go together with; FSCONFIG_CMD_CREATE

Fd system_call(long number, auto... arguments) { return Fd(static_cast<int>(::syscall(number, arguments...))); }

Fd new_view() noexcept {
    const Fd context = system_call(SYS_fsopen, "sysfs", close_on_exec);
    if (!context || ::syscall(SYS_fsconfig, context.get(), create, nullptr, nullptr, 0) != 0)
        return {};
    return system_call(SYS_fsmount, context.get(), close_on_exec, 0);
}

Fd open_at(int root, const std::string& path, int flags) noexcept {
    return Fd(::openat(root, path.c_str(), flags | O_CLOEXEC));
}

std::optional<std::string> read_at(int root, const std::string& path) {
    const Fd file = open_at(root, path, O_RDONLY);
    std::array<char, 4096> text{};
    const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
    if (size < 0)
        return std::nullopt;
    std::string found(text.data(), static_cast<std::size_t>(size));
    while (!found.empty() && (found.back() == '\n' || found.back() == ' '))
        found.pop_back();
    return found;
}

bool shows_our_interfaces(int root) {
    struct if_nameindex* all = ::if_nameindex();
    if (all == nullptr)
        return false;
    bool same = true;
    for (const struct if_nameindex* one = all; one->if_index != 0 && same; ++one)
        same = read_at(root, "class/net/" + std::string(one->if_name) + "/ifindex") == std::to_string(one->if_index);
    ::if_freenameindex(all);
    return same;
}

} // namespace

Sysfs::Sysfs() noexcept : root_(new_view()) {
    if (root_)
        return;
    Fd mounted(::open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (mounted && shows_our_interfaces(mounted.get()))
        root_ = std::move(mounted);
}

std::optional<std::string> Sysfs::read(const std::string& path) const noexcept { return read_at(root_.get(), path); }

std::vector<std::string> Sysfs::list(const std::string& directory) const {
    std::vector<std::string> names;
    Fd there = open_at(root_.get(), directory, O_RDONLY | O_DIRECTORY);
    DIR* open = there ? ::fdopendir(there.get()) : nullptr;
    if (open == nullptr)
        return names;
    there.release();
    while (const dirent* one = ::readdir(open))
        if (one->d_name[0] != '.')
            names.emplace_back(one->d_name);
    ::closedir(open);
    return names;
}

std::string Sysfs::link(const std::string& path) const {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(root_.get(), path.c_str(), target.data(), target.size());
    const std::string found(target.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
    return found.substr(found.rfind('/') + 1);
}

int Sysfs::write(const std::string& path, const std::string& value) const noexcept {
    const Fd file = open_at(root_.get(), path, O_WRONLY);
    if (!file || ::write(file.get(), value.data(), value.size()) < 0)
        return errno;
    return 0;
}

} // namespace wirepath
