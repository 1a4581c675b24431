// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <sys/types.h>
#include <utility>

namespace wirepath {

// An mmap(2) that is unmapped with its owner.
class Mapping {
  public:
    Mapping() noexcept = default;
    Mapping(Mapping&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping();

    // All throw Error. Sizes are rounded up to pages.
    static Mapping anonymous(std::size_t size);
    // For memory that is used here and there. Where the kernel gives huge pages unasked (transparent_hugepage=always,
    // as Debian sets it), each place that is touched would take 2 MiB otherwise.
    static Mapping sparse(std::size_t size);
    static Mapping huge_pages(std::size_t size); // MAP_HUGETLB, 2 MiB pages
    static Mapping of_fd(int fd, std::size_t size, off_t offset = 0, int flags = 0);
    static Mapping read_only(int fd, std::size_t size, off_t offset);

    void* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

    void keep_from_children() noexcept; // MADV_DONTFORK
    // Puts private memory in the place of this mapping, in one step, so that readers on other threads see no gap;
    // `keep` fills the new memory before it takes its place. After it nothing here refers to the file or socket mapped
    // before. False if there was no memory for it: the mapping is as it was.
    template <typename Keep>
    bool replace(Keep&& keep) noexcept {
        void* fresh = begin_replace();
        if (fresh == nullptr)
            return false;
        keep(fresh);
        return end_replace(fresh);
    }
    void forget() noexcept { data_ = nullptr, size_ = 0; }

  private:
    Mapping(void* data, std::size_t size) noexcept : data_(data), size_(size) {}
    void* begin_replace() noexcept;
    bool end_replace(void* fresh) noexcept;

    void* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace wirepath
