// SPDX-License-Identifier: Apache-2.0
#include "linux/mapping.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }
std::size_t page_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

} // namespace

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

Mapping::~Mapping() {
    if (data_ != nullptr)
        ::munmap(data_, size_);
}

Mapping Mapping::anonymous(std::size_t size) {
    size = round_up(size, page_size());
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        throw Error::from_errno("mapping " + std::to_string(size) + " bytes of memory", errno);
    return Mapping(at, size);
}

Mapping Mapping::sparse(std::size_t size) {
    Mapping mapping = anonymous(size);
    ::madvise(mapping.data_, mapping.size_, MADV_NOHUGEPAGE); // refused only by kernels without huge pages
    return mapping;
}

Mapping Mapping::huge_pages(std::size_t size) {
    size = round_up(size, huge_page);
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (at == MAP_FAILED)
        throw Error::from_errno("mapping " + std::to_string(size / huge_page) + " huge pages", errno,
                                "Reserve them first: sysctl vm.nr_hugepages=" + std::to_string(size / huge_page));
    return Mapping(at, size);
}

Mapping Mapping::of_fd(int fd, std::size_t size, off_t offset, int flags) {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, offset);
    if (at == MAP_FAILED)
        throw Error::from_errno("mapping a ring of " + std::to_string(size) + " bytes", errno);
    return Mapping(at, size);
}

Mapping Mapping::read_only(int fd, std::size_t size, off_t offset) {
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, offset);
    if (at == MAP_FAILED)
        throw Error::from_errno("mapping a ring of " + std::to_string(size) + " bytes", errno);
    return Mapping(at, size);
}

void Mapping::keep_from_children() noexcept { ::madvise(data_, size_, MADV_DONTFORK); }

void* Mapping::begin_replace() noexcept {
    void* at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? nullptr : at;
}

bool Mapping::end_replace(void* fresh) noexcept {
    if (::mremap(fresh, size_, size_, MREMAP_MAYMOVE | MREMAP_FIXED, data_) != MAP_FAILED)
        return true;
    ::munmap(fresh, size_);
    return false;
}

} // namespace wirepath
