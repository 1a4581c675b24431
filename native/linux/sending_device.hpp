// SPDX-License-Identifier: Apache-2.0
// What every sender on an interface asks of it, whatever it sends with.
#pragma once

#include <string>

#include "core/sender.hpp"
#include "linux/netdevice.hpp"

namespace wirepath {

// The interface, which is up and has frames with a linktype. `socket` as for netdevice_named. Throws Error.
NetDevice sending_device(int socket, const std::string& name);
void describe_device(const NetDevice& device, SenderInfo& info);
// Whether it is gone or down, now that changes under way in its network namespace are over.
bool went_away(int socket, const NetDevice& device) noexcept;
// After the kernel said that it cannot send there (any more).
Error why_cannot_send(int socket, const NetDevice& device);

} // namespace wirepath
