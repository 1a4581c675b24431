// SPDX-License-Identifier: Apache-2.0
#include "linux/holder.hpp"

#include <atomic>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace wirepath {
namespace {

std::uint64_t pid_namespace() {
    struct stat found{};
    return ::stat("/proc/self/ns/pid", &found) == 0 ? found.st_ino : 0;
}

// Field 22 of /proc/PID/stat; field 2, a name, may have anything in it but ends at the last parenthesis. 0: no such
// process, or one that has ended and waits to be reaped.
std::uint64_t start_of(std::int64_t pid) {
    std::string line;
    if (!std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/stat"), line))
        return 0;
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string field;
    fields >> field;
    if (field == "Z" || field == "X")
        return 0;
    for (int number = 4; number <= 22; ++number)
        fields >> field;
    return std::strtoull(field.c_str(), nullptr, 10);
}

} // namespace

Holder Holder::mine() {
    static std::atomic<std::uint64_t> next{0};
    return {::getpid(), start_of(::getpid()), pid_namespace(), next++};
}

std::optional<Holder> Holder::from(const std::string& text) {
    Holder holder;
    std::istringstream from(text);
    char colon[3] = {};
    from >> holder.pid >> colon[0] >> holder.started >> colon[1] >> holder.pids >> colon[2] >> holder.number;
    if (!from || !(from >> std::ws).eof() || std::string(colon, 3) != ":::")
        return std::nullopt;
    return holder;
}

std::string Holder::text() const {
    return std::to_string(pid) + ":" + std::to_string(started) + ":" + std::to_string(pids) + ":" +
           std::to_string(number);
}

bool Holder::alive() const { return pids != pid_namespace() || start_of(pid) == started; }

} // namespace wirepath
