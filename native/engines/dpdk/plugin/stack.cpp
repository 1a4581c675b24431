// SPDX-License-Identifier: Apache-2.0
// How a mempool keeps its free objects, for one thread: the last one freed is the next one used, while it is still in
// the cache. DPDK's own have caches for its lcores only, which a thread of Python is not.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <rte_mempool.h>

namespace {

struct Stack {
    std::unique_ptr<void*[]> objects;
    unsigned size = 0;
};

Stack& stack_of(const rte_mempool* pool) { return *static_cast<Stack*>(pool->pool_data); }

int make(rte_mempool* pool) {
    try {
        pool->pool_data = new Stack{std::make_unique<void*[]>(pool->size)};
        return 0;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

void end(rte_mempool* pool) { delete static_cast<Stack*>(pool->pool_data); }

int put(rte_mempool* pool, void* const* objects, unsigned count) {
    Stack& stack = stack_of(pool);
    std::copy_n(objects, count, stack.objects.get() + stack.size);
    stack.size += count;
    return 0;
}

int get(rte_mempool* pool, void** objects, unsigned count) {
    Stack& stack = stack_of(pool);
    if (count > stack.size)
        return -ENOBUFS;
    stack.size -= count;
    std::copy_n(stack.objects.get() + stack.size, count, objects);
    return 0;
}

unsigned how_many(const rte_mempool* pool) { return stack_of(pool).size; }

// "wirepath_stack"; registered when the plugin is loaded, as DPDK asks for it: before any pool is made.
// NOLINTNEXTLINE(bugprone-throwing-static-initialization): C
const int registered = []() noexcept {
    rte_mempool_ops operations{};
    std::strcpy(operations.name, "wirepath_stack");
    operations.alloc = make;
    operations.free = end;
    operations.enqueue = put;
    operations.dequeue = get;
    operations.get_count = how_many;
    return rte_mempool_register_ops(&operations);
}();

} // namespace
