// SPDX-License-Identifier: Apache-2.0
#include "engines/napi/source.hpp"

#include <sys/socket.h>

namespace wirepath::napi {

unsigned TunedSource::incoming_napi_id(int socket) noexcept {
    unsigned id = 0;
    socklen_t size = sizeof id;
    return ::getsockopt(socket, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &size) == 0 ? id : 0;
}

std::vector<Observed> TunedSource::observed() {
    std::vector<Observed> all = first_ ? tuning_->observed() : std::vector<Observed>{};
    if (!busy_)
        return all;
    const std::lock_guard lock(stopping_);
    const unsigned id = stopped_ ? napi_id_ : incoming_napi_id(inner_->info().fd);
    const std::string queue = "queue " + std::to_string(info_.queue);
    all.push_back({"napi_id", std::nullopt, id,
                   id != 0 ? "the kernel polls this NAPI instance for the socket of " + queue
                           : "the kernel knows no NAPI instance of the socket of " + queue +
                                 ": busy polling has no effect there, or no packet came yet"});
    return all;
}

} // namespace wirepath::napi
