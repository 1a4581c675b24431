// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace wirepath {

// The path of a file that lies in the directory of the module that this is a part of; empty if that is not known.
std::string beside_module(const std::string& name);

} // namespace wirepath
