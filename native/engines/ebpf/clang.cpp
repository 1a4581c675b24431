// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/clang.hpp"

#include <cerrno>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "core/error.hpp"
#include "linux/beside_module.hpp"

namespace wirepath::ebpf {
namespace {

// What the engine's own programs are compiled for.
#if defined(__aarch64__)
constexpr const char* machine_headers = "/usr/include/aarch64-linux-gnu";
constexpr const char* target = "-D__TARGET_ARCH_arm64";
#else
constexpr const char* machine_headers = "/usr/include/x86_64-linux-gnu";
constexpr const char* target = "-D__TARGET_ARCH_x86";
#endif
constexpr int newest_clang = 30, oldest_clang = 12; // of those that are installed as clang-NUMBER only

class Child {
  public:
    Child(const Fd& output, const Fd& messages) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, output.get(), STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, messages.get(), STDERR_FILENO);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { ::posix_spawn_file_actions_destroy(&actions_); }

    // The errno of starting it.
    int start(std::vector<std::string> words) {
        std::vector<char*> arguments;
        for (std::string& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        return ::posix_spawnp(&pid_, arguments.front(), &actions_, nullptr, arguments.data(), environ);
    }
    bool succeeds() const {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0)
            if (errno != EINTR)
                return false;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

  private:
    posix_spawn_file_actions_t actions_;
    pid_t pid_ = 0;
};

std::vector<std::string> command(const std::string& clang, const std::string& source) {
    return {
        clang,           "-g", "-O2", "-Wall", "-target", "bpf", "-mcpu=v3", target, "-I" + beside_module("bpf"), "-I",
        machine_headers, "-c", "-o",  "-",     "--",      source};
}

void start_clang(Child& child, const std::string& source) {
    int err = child.start(command("clang", source));
    for (int version = newest_clang; err == ENOENT && version >= oldest_clang; --version)
        err = child.start(command("clang-" + std::to_string(version), source));
    if (err == ENOENT)
        throw Error(Code::unsupported, "compiling " + source + ": there is no clang", 0,
                    "Install clang and libbpf-dev, or compile it elsewhere (clang -g -O2 -target bpf -c) and give the "
                    ".o file");
    if (err != 0)
        throw Error::from_errno("running clang", err);
}

} // namespace

Fd file_in_memory(const char* name) {
    Fd file(::memfd_create(name, MFD_CLOEXEC));
    if (!file)
        throw Error::from_errno("making a file in memory", errno);
    return file;
}

std::string contents_of(const Fd& file) {
    struct stat status{};
    if (::fstat(file.get(), &status) != 0)
        throw Error::from_errno("reading a file in memory", errno);
    std::string contents(static_cast<std::size_t>(status.st_size), '\0');
    if (::pread(file.get(), contents.data(), contents.size(), 0) != status.st_size)
        throw Error::from_errno("reading a file in memory", errno);
    return contents;
}

Fd compile_with_clang(const std::string& source) {
    Fd object = file_in_memory("object");
    const Fd messages = file_in_memory("messages");
    Child clang(object, messages);
    start_clang(clang, source);
    if (!clang.succeeds()) {
        std::string said = contents_of(messages);
        said.resize(said.find_last_not_of('\n') + 1);
        throw Error(Code::bad_option, "compiling " + source + ", clang says:\n" + said, 0,
                    said.find("'bpf/") != std::string::npos ? "Install libbpf-dev" : "");
    }
    return object;
}

} // namespace wirepath::ebpf
