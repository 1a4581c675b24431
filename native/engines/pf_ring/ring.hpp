// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "engines/pf_ring/library.hpp"
#include "engines/pf_ring/module.hpp"
#include "engines/pf_ring/settings.hpp"
#include "linux/fork_guard.hpp"

namespace wirepath::pf_ring {

// An open ring of libpfring's. A forked child leaves it alone: closing it would shut down its parent's.
class Ring {
  public:
    // Bound to the device, but not enabled: nothing is captured before. Throws Error, which names what is missing.
    Ring(const Library& library, const Module& module, const Target& target, const std::string& device,
         std::uint32_t snaplen, std::uint32_t flags);
    ~Ring() { close(); }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    explicit operator bool() const noexcept { return handle_ != nullptr; }
    Handle* get() const noexcept { return handle_; }
    const Library& library() const noexcept { return library_; }
    bool in_child() const noexcept { return fork_guard_.in_child(); }
    int fd() const noexcept { return library_.get_selectable_fd(handle_); }

    void enable(); // throws Error
    bool counts(Counts& into) const noexcept { return library_.stats(handle_, &into) == 0; }
    void close() noexcept;

  private:
    const Library& library_;
    ForkGuard fork_guard_;
    std::string device_;
    Handle* handle_ = nullptr;
};

} // namespace wirepath::pf_ring
