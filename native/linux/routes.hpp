// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace wirepath {

// Whether a default route of the calling thread's network namespace (IPv4 or IPv6, main table) leaves by this
// interface.
bool carries_default_route(const std::string& interface);

} // namespace wirepath
