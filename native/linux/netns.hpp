// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "linux/fd.hpp"

namespace wirepath {

// A network namespace (namespaces(7)) by name (ip-netns(8)), path or process id; empty: the one that the thread is in.
class Netns {
  public:
    Netns() = default;
    explicit Netns(const std::string& which); // throws Error

    // The calling thread is inside for as long as this lives.
    class Inside {
      public:
        explicit Inside(const Netns& netns); // throws Error
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
        ~Inside();

      private:
        Fd before_;
    };

  private:
    Fd fd_;
};

} // namespace wirepath
