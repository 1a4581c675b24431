// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/sender.hpp"

namespace wirepath::dpdk {

std::unique_ptr<Sender> open_sender(const SendRequest& request);

} // namespace wirepath::dpdk
