// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace wirepath::dpdk {

// What DPDK and its drivers log: errors and warnings are kept for our own errors, the rest is dropped. Nothing of it
// goes to the terminal.
void catch_log(); // before rte_eal_init; throws Error
// What was logged since the last call, as one line; empty: nothing.
std::string take_log();

} // namespace wirepath::dpdk
