// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace wirepath {

// Who has changed something on the host for as long as it runs: one capture of one process, told apart from a later
// process with the same number by when it started.
struct Holder {
    std::int64_t pid = 0;
    std::uint64_t started = 0; // clock ticks since boot
    std::uint64_t pids = 0;    // the inode of the PID namespace in which `pid` means something
    std::uint64_t number = 0;  // of the capture in its process

    auto operator<=>(const Holder&) const = default;

    static Holder mine(); // a new one at each call
    // "pid:started:pids:number"; nothing if that is not what the text is.
    static std::optional<Holder> from(const std::string& text);
    std::string text() const;

    // Of another PID namespace nothing can be known: it is taken to live.
    bool alive() const;
};

} // namespace wirepath
