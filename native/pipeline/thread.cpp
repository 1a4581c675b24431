// SPDX-License-Identifier: Apache-2.0
#include "pipeline/thread.hpp"

#include <ctime>
#include <pthread.h>
#include <sched.h>
#include <string>

#include "core/error.hpp"

namespace wirepath {

std::int64_t thread_cpu_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (const int err = ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set); err != 0)
        throw Error(Code::bad_option, "running a worker on CPU " + std::to_string(cpu), err,
                    "lscpu shows the CPUs that there are");
}

} // namespace wirepath
