// SPDX-License-Identifier: Apache-2.0
// Every socket that a process has open, in every network namespace, as a program in the kernel sees it.
#pragma once

#include <vector>

#include "linux/fd.hpp"
#include "trace/drops/records.h"

namespace wirepath::trace {

class SocketTable {
  public:
    SocketTable();                           // throws Error
    std::vector<socket_record> read() const; // throws Error

  private:
    Fd link_;
};

} // namespace wirepath::trace
