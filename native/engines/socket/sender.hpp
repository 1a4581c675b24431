// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "core/options.hpp"
#include "core/sender.hpp"

namespace wirepath {

std::span<const OptionSpec> socket_send_options() noexcept;
std::unique_ptr<Sender> open_socket_sender(const SendRequest& request);

} // namespace wirepath
