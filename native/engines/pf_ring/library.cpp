// SPDX-License-Identifier: Apache-2.0
#include "engines/pf_ring/library.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <vector>

#include "core/error.hpp"

namespace wirepath::pf_ring {
namespace {

constexpr const char* chosen_by = "WIREPATH_LIBPFRING";
constexpr const char* where_to_get = "Install ntop's package pfring (packages.ntop.org), or name the file in "
                                     "WIREPATH_LIBPFRING";

void* open_file(const std::string& chosen) {
    const std::vector<std::string> names =
        chosen.empty() ? std::vector<std::string>{"libpfring.so.8", "libpfring.so"} : std::vector{chosen};
    std::string last;
    for (const std::string& name : names) {
        if (void* file = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL))
            return file;
        const char* why = ::dlerror();
        last = why != nullptr ? why : name;
    }
    throw Error(Code::unsupported, "libpfring not found: " + last, 0, where_to_get);
}

void* symbol(void* file, const std::string& name) {
    if (void* at = ::dlsym(file, name.c_str()))
        return at;
    throw Error(Code::unsupported, "this libpfring has no " + name, 0, "Version 8 is needed");
}

Library load(const std::string& chosen) {
    void* file = open_file(chosen); // for good: it may have started threads
    Library table;
#define WIREPATH_PFRING(name, result, ...)                                                                             \
    table.name = reinterpret_cast<decltype(table.name)>(symbol(file, "pfring_" #name));
    WIREPATH_PFRING_FUNCTIONS
#undef WIREPATH_PFRING
    if (void* root = ::dlsym(file, "wirepath_pfring_double_root"))
        table.double_root = reinterpret_cast<const char* (*)()>(root)();
    return table;
}

} // namespace

std::string Library::version() const {
    std::uint32_t packed = 0;
    version_noring(&packed);
    return std::to_string(packed >> 16) + "." + std::to_string(packed >> 8 & 0xff) + "." +
           std::to_string(packed & 0xff);
}

const Library& library() {
    static std::mutex mutex;
    static std::map<std::string, Library> loaded; // what did not load is tried again at the next call
    const char* given = std::getenv(chosen_by);
    const std::string chosen = given != nullptr ? given : "";
    const std::lock_guard lock(mutex);
    const auto at = loaded.find(chosen);
    return at != loaded.end() ? at->second : loaded.emplace(chosen, load(chosen)).first->second;
}

} // namespace wirepath::pf_ring
