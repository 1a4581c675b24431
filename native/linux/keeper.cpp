// SPDX-License-Identifier: Apache-2.0
#include "linux/keeper.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/beside_module.hpp"

namespace wirepath {
namespace {

constexpr int patience_ms = 5000;

struct Pipe {
    Fd read, write;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) == 0)
            read = Fd(ends[0]), write = Fd(ends[1]);
    }
};

class SpawnActions {
  public:
    SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
    SpawnActions(const SpawnActions&) = delete;
    ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    void put(const Fd& fd, int at) { ::posix_spawn_file_actions_adddup2(&actions_, fd.get(), at); }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_;
};

bool answers(const Fd& from, char expected) noexcept {
    pollfd one{from.get(), POLLIN, 0};
    char said = 0;
    int ready = 0;
    do
        ready = ::poll(&one, 1, patience_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0 && ::read(from.get(), &said, 1) == 1 && said == expected;
}

} // namespace

Keeper::Keeper(const Holder& holder) {
    start(holder);
    if (runs() && !answers(said_, 'r')) {
        why_not_ = "it has not the right to";
        told_.reset();
        said_.reset();
    }
}

void Keeper::start(const Holder& holder) {
    Pipe to, from;
    const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    SpawnActions actions;
    actions.put(to.read, STDIN_FILENO);
    actions.put(from.write, STDOUT_FILENO);
    actions.put(nowhere, STDERR_FILENO);
    std::string path = beside_module("wirepath-keeper"), name = "wirepath-keeper", who = holder.text();
    char* arguments[] = {name.data(), who.data(), nullptr};
    char* environment[] = {nullptr};
    pid_t child = 0;
    const int err = ::posix_spawn(&child, path.c_str(), actions.get(), nullptr, arguments, environment);
    if (err != 0) {
        why_not_ = path + ": " + std::strerror(err);
        return;
    }
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) { // it has made the keeper, nobody's child, and ended
    }
    told_ = std::move(to.write);
    said_ = std::move(from.read);
}

bool Keeper::put_back() noexcept {
    if (!runs() || fork_guard_.in_child())
        return false;
    told_.reset();
    const bool done = answers(said_, 'd');
    said_.reset();
    return done;
}

} // namespace wirepath
