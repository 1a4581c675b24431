// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/sender.hpp"

namespace wirepath::pf_ring {

std::unique_ptr<Sender> open_sender(const SendRequest& request);

} // namespace wirepath::pf_ring
