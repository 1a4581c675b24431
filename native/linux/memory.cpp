// SPDX-License-Identifier: Apache-2.0
#include "linux/memory.hpp"

#include <fstream>

#include "core/error.hpp"

namespace wirepath {

std::uint64_t available_memory() noexcept {
    std::ifstream file("/proc/meminfo");
    std::string name, unit;
    for (std::uint64_t kib = 0; file >> name >> kib; std::getline(file, unit))
        if (name == "MemAvailable:")
            return kib * 1024;
    return 0;
}

void check_ring_memory(std::uint64_t bytes, const std::string& option) {
    const std::uint64_t available = available_memory(), mib = std::uint64_t{1} << 20;
    if (available != 0 && bytes > available / 2)
        throw Error(Code::bad_option,
                    "a ring of " + std::to_string(bytes / mib) +
                        " MiB would take more than half of the memory there is",
                    0, "Choose a smaller " + option + ": " + std::to_string(available / 2 / mib) + " MiB may be had");
}

} // namespace wirepath
