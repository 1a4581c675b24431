// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "core/engine.hpp"
#include "engines/built.hpp" // made by cmake/Engines.cmake: WIREPATH_BUILT_<name> is 1, or 0 with WIREPATH_UNBUILT_<name>

#define WIREPATH_PASTE(a, b) a##b
#define WIREPATH_CHOOSE(built) WIREPATH_PASTE(WIREPATH_ROW_, built)

namespace wirepath {

#define WIREPATH_ROW_1(name, summary) extern const Engine name##_engine;
#define WIREPATH_ROW_0(name, summary)
#define WIREPATH_ENGINE(name, needs, summary) WIREPATH_CHOOSE(WIREPATH_BUILT_##name)(name, summary)
#include "engines/engines.def"
#undef WIREPATH_ROW_1
#undef WIREPATH_ROW_0

namespace {

#define WIREPATH_ROW_1(name, summary) Registered{#name, summary, &name##_engine, {}},
#define WIREPATH_ROW_0(name, summary) Registered{#name, summary, nullptr, WIREPATH_UNBUILT_##name},
const std::array engines{
#include "engines/engines.def"
};
#undef WIREPATH_ENGINE

} // namespace

std::span<const Registered> registry() noexcept { return engines; }

const Engine& engine_named(std::string_view name) {
    const auto at =
        std::find_if(engines.begin(), engines.end(), [name](const Registered& r) { return r.name == name; });
    if (at == engines.end()) {
        std::string names;
        for (const Registered& row : engines)
            names += (names.empty() ? "" : ", ") + std::string(row.name);
        throw Error(Code::bad_option, "there is no engine '" + std::string(name) + "'", 0, "There are: " + names);
    }
    if (at->engine == nullptr)
        throw Error(Code::unsupported, "the engine " + std::string(name) + " was not built", 0,
                    std::string(at->unbuilt));
    return *at->engine;
}

std::unique_ptr<Sender> open_sender(std::string_view engine, const SendRequest& request) {
    const Engine& found = engine_named(engine);
    if (found.open_sender != nullptr)
        return found.open_sender(request);
    std::string able;
    for (const Registered& row : engines)
        if (row.engine != nullptr && row.engine->open_sender != nullptr)
            able += (able.empty() ? "" : ", ") + std::string(row.name);
    throw Error(Code::unsupported, "the engine " + std::string(engine) + " cannot send", 0, "These can: " + able);
}

} // namespace wirepath
