// SPDX-License-Identifier: Apache-2.0
// A program at its hook, detached with its owner. Only what is built with libbpf includes this.
#pragma once

#include <bpf/libbpf.h>
#include <memory>

namespace wirepath::trace {

struct DestroyLink {
    void operator()(bpf_link* link) const noexcept { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, DestroyLink>;

} // namespace wirepath::trace
