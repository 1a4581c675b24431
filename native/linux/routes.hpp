// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace wirepath {

// Whether a default route of the calling thread's network namespace (IPv4 or IPv6, main table) leaves by this
// interface.
bool carries_default_route(const std::string& interface);

// Before an engine takes packets away from this host: throws Error refused if that would be the default route's. No
// name: nothing of the host's is taken.
void refuse_default_route(std::string_view engine, const std::string& interface);

} // namespace wirepath
