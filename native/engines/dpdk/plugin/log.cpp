// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <rte_log.h>

#include "core/error.hpp"

namespace wirepath::dpdk {
namespace {

constexpr std::size_t most = 2000; // bytes that are kept

std::mutex mutex;
std::string kept;

// Called by the thread that logs, for each message.
ssize_t keep(void*, const char* text, std::size_t bytes) {
    if (rte_log_cur_msg_loglevel() > static_cast<int>(RTE_LOG_WARNING))
        return static_cast<ssize_t>(bytes);
    const std::lock_guard lock(mutex);
    kept.append(text, std::min(bytes, most - std::min(most, kept.size())));
    return static_cast<ssize_t>(bytes);
}

} // namespace

void catch_log() {
    std::FILE* stream =
        ::fopencookie(nullptr, "w", {.read = nullptr, .write = keep, .seek = nullptr, .close = nullptr});
    if (stream == nullptr)
        throw Error::from_errno("catching what DPDK logs", errno);
    std::setvbuf(stream, nullptr, _IONBF, 0);
    rte_openlog_stream(stream);
}

std::string take_log() {
    const std::lock_guard lock(mutex);
    std::string line;
    for (const char c : kept)
        line += c != '\n' ? std::string(1, c) : "; ";
    kept.clear();
    while (!line.empty() && (line.back() == ' ' || line.back() == ';'))
        line.pop_back();
    return line;
}

} // namespace wirepath::dpdk
