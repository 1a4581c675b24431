// SPDX-License-Identifier: Apache-2.0
// What went wrong, while doing what, and what the user can do about it.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace wirepath {

enum class Code {
#define WIREPATH_CODE(code, python_class, builtin) code,
#include "core/codes.def"
#undef WIREPATH_CODE
};

// Opening and configuring throw an Error; receive() and consume() return a Status and keep the Error for who asks.
class Error : public std::exception {
  public:
    // doing: "binding to eth0"; err: the errno, 0 where none applies; hint: the remedy, empty where none is known.
    Error(Code code, std::string doing, int err = 0, std::string hint = {});

    // The Error of a failed system call, its code chosen from errno (EPERM and EACCES: permission, ENOSPC: no_space,
    // …).
    static Error from_errno(std::string doing, int err, std::string hint = {});

    Code code() const noexcept { return code_; }
    int err() const noexcept { return err_; }
    const std::string& doing() const noexcept { return doing_; }
    const std::string& hint() const noexcept { return hint_; }
    const char* what() const noexcept override { return message_.c_str(); }

  private:
    Code code_;
    int err_;
    std::string doing_, hint_, message_;
};

} // namespace wirepath
