// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/mbufs.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <rte_errno.h>
#include <rte_memory.h>
#include <sys/mman.h>

#include "engines/dpdk/plugin/eal.hpp"

namespace wirepath::dpdk {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::uint32_t most_slots = 4096;
constexpr const char* operations = "wirepath_stack"; // stack.cpp's

std::string new_name() {
    static std::atomic<std::uint32_t> made{0};
    return "wirepath_" + std::to_string(made++);
}

// A device without an IOMMU needs pages that stay where they are, and no buffer across two of them.
Mapping memory_for(std::size_t bytes, bool physical_addresses) {
    Mapping memory = physical_addresses ? Mapping::huge_pages(bytes) : Mapping::anonymous(bytes);
    if (!physical_addresses)
        ::madvise(memory.data(), memory.size(), MADV_HUGEPAGE); // else nearly each packet is a miss in the TLB
    memory.keep_from_children();
    return memory;
}

std::size_t bytes_for(const rte_mempool& pool, bool physical_addresses) {
    const std::size_t each = pool.header_size + pool.elt_size + pool.trailer_size;
    if (!physical_addresses)
        return each * pool.size + RTE_MEMPOOL_ALIGN;
    const std::size_t in_a_page = (huge_page - RTE_MEMPOOL_ALIGN) / each;
    return (pool.size + in_a_page - 1) / in_a_page * huge_page;
}

rte_mempool* empty_pool(std::uint32_t count, std::uint16_t room) {
    const unsigned element = sizeof(rte_mbuf) + RTE_PKTMBUF_HEADROOM + room;
    // One thread puts and gets. Buffers may cross pages: what matters to a device is the page of a chunk (populate()).
    // They lie close together: AF_XDP's driver takes them for the frames of its umem, of a page at the most.
    rte_mempool* pool = rte_mempool_create_empty(
        new_name().c_str(), count, element, 0, sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY,
        RTE_MEMPOOL_F_SP_PUT | RTE_MEMPOOL_F_SC_GET | RTE_MEMPOOL_F_NO_IOVA_CONTIG | RTE_MEMPOOL_F_NO_SPREAD);
    if (pool == nullptr)
        throw dpdk_error(Code::no_space, "making a mempool of " + std::to_string(count) + " packets", rte_errno);
    return pool;
}

} // namespace

Mbufs::Mbufs(std::uint32_t count, std::uint16_t room, std::uint32_t kept, bool physical_addresses)
    : count_(count), most_leased_(std::min(count / 2, count - std::min(kept, count))), pool_(empty_pool(count, room)) {
    try {
        populate(physical_addresses);
    } catch (...) {
        close();
        throw;
    }
    const std::uint32_t slots = std::min(most_slots, std::max(1U, most_leased_));
    first_.assign(slots, nullptr);
    held_.assign(slots, 0);
    free_slots_.reserve(slots);
    for (std::uint32_t slot = slots; slot-- > 0;)
        free_slots_.push_back(slot);
}

void Mbufs::populate(bool physical_addresses) {
    bytes_ = bytes_for(*pool_, physical_addresses);
    leases_ =
        LeasePool::create(std::min(most_slots, std::max(1U, most_leased_)), memory_for(bytes_, physical_addresses));
    int error = rte_mempool_set_ops_byname(pool_, operations, nullptr);
    rte_pktmbuf_pool_init(pool_, nullptr);
    auto* at = reinterpret_cast<char*>(base());
    const std::size_t chunk = physical_addresses ? huge_page : bytes_;
    for (std::size_t done = 0; pool_->populated_size < pool_->size && done < bytes_ && error >= 0; done += chunk) {
        at[done] = 0; // is there, and has an address
        const rte_iova_t address =
            physical_addresses ? rte_mem_virt2phy(at + done) : reinterpret_cast<rte_iova_t>(at + done);
        error = rte_mempool_populate_iova(pool_, at + done, address, chunk, nullptr, nullptr);
    }
    if (error < 0 || pool_->populated_size != pool_->size)
        throw dpdk_error(Code::no_space, "filling a mempool with " + std::to_string(count_) + " packets", error);
    rte_mempool_obj_iter(pool_, rte_pktmbuf_init, nullptr);
}

Lease Mbufs::begin_batch() noexcept {
    open_ = free_slots_.back();
    free_slots_.pop_back();
    first_[open_] = nullptr;
    held_[open_] = 0;
    return leases_->take(open_);
}

void Mbufs::lend(rte_mbuf* mbuf) noexcept {
    mbuf->next = first_[open_];
    first_[open_] = mbuf;
    ++held_[open_];
    ++leased_;
}

void Mbufs::take_back() noexcept {
    leases_->collect([this](std::uint32_t slot) {
        std::array<void*, 64> some;
        unsigned count = 0;
        for (rte_mbuf* mbuf = first_[slot]; mbuf != nullptr;) {
            rte_mbuf* next = mbuf->next;
            mbuf->next = nullptr;
            some[count++] = mbuf;
            if (count == some.size() || next == nullptr)
                rte_mempool_put_bulk(pool_, some.data(), std::exchange(count, 0));
            mbuf = next;
        }
        leased_ -= held_[slot];
        free_slots_.push_back(slot);
    });
}

void Mbufs::close() noexcept { rte_mempool_free(std::exchange(pool_, nullptr)); }

} // namespace wirepath::dpdk
