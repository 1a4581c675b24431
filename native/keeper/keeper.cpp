// SPDX-License-Identifier: Apache-2.0
// wirepath-keeper HOLDER: waits until standard input ends or the holder does, then takes back what it has changed on
// the host. It says 'r' on standard output when it is ready, 'd' when that is done. Wirepath starts it; nobody else
// needs to.
#include <csignal>
#include <exception>
#include <linux/capability.h>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/fd.hpp"
#include "linux/host_changes.hpp"
#include "linux/net_settings.hpp"

namespace {

using namespace wirepath;

bool may_change_the_network() {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
    return ::syscall(SYS_capget, &head, sets) == 0 && (sets[0].effective >> CAP_NET_ADMIN & 1) != 0;
}

// Out of the way of signals that are meant for the capture, of its terminal, files and directory.
void stand_apart() {
    ::setsid();
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2})
        ::signal(signal, SIG_IGN);
    ::syscall(SYS_close_range, 3U, ~0U, 0U);
    [[maybe_unused]] const int moved = ::chdir("/");
}

void say(char what) { [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, &what, 1); }

// A fork of the holder may hold the other end of the pipe open: the process itself is watched, too.
void wait_for_the_end(const Holder& holder) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(holder.pid), 0)));
    if (!holder.alive())
        return;
    pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {process.get(), POLLIN, 0}};
    while (::poll(fds, 2, -1) <= 0) {
    }
}

void keep(const Holder& holder) {
    NetSettings access; // while the rights and the namespace are what they are now
    say('r');
    wait_for_the_end(holder);
    HostChanges().take_back(holder, access);
    say('d');
}

} // namespace

int main(int count, char** arguments) {
    const std::optional<Holder> holder = count == 2 ? Holder::from(arguments[1]) : std::nullopt;
    if (!holder || !may_change_the_network())
        return 1;
    if (::fork() != 0)
        return 0;
    stand_apart();
    try {
        keep(*holder);
    } catch (const std::exception&) {
        return 1; // the next run will try
    }
    return 0;
}
