// SPDX-License-Identifier: Apache-2.0
// Part of the program that is a shared module of its own, beside this one, so that the libraries it is linked with are
// loaded only when it is used.
#pragma once

#include <string>

namespace wirepath {

// What the module _NAME.so exports as `wirepath_plugin`. It is loaded at the first call and stays. Throws Error
// unsupported, with what the loader says and `hint`.
const void* plugin(const std::string& name, const std::string& hint);

} // namespace wirepath

// Before the definition of what a plugin exports.
#define WIREPATH_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))
