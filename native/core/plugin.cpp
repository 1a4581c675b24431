// SPDX-License-Identifier: Apache-2.0
#include "core/plugin.hpp"

#include <dlfcn.h>

#include "core/error.hpp"

namespace wirepath {
namespace {

// The directory, with its last slash, of the file that this code is in.
std::string own_directory() {
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&own_directory), &info) == 0 || info.dli_fname == nullptr)
        return {};
    const std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/') + 1);
}

} // namespace

const void* plugin(const std::string& name, const std::string& hint) {
    const std::string path = own_directory() + "_" + name + ".so";
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const void* exported = library != nullptr ? ::dlsym(library, "wirepath_plugin") : nullptr;
    if (exported == nullptr)
        throw Error(Code::unsupported, "loading the plugin " + name + ": " + std::string(::dlerror()), 0, hint);
    return exported;
}

} // namespace wirepath
