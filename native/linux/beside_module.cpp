// SPDX-License-Identifier: Apache-2.0
#include "linux/beside_module.hpp"

#include <dlfcn.h>

namespace wirepath {

std::string beside_module(const std::string& name) {
    Dl_info module{};
    if (::dladdr(reinterpret_cast<const void*>(&beside_module), &module) == 0 || module.dli_fname == nullptr)
        return {};
    const std::string file = module.dli_fname;
    return file.substr(0, file.rfind('/') + 1) + name;
}

} // namespace wirepath
