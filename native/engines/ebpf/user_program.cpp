// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/user_program.hpp"

#include <algorithm>
#include <bpf/btf.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "engines/ebpf/clang.hpp"

namespace wirepath::ebpf {
namespace {

constexpr const char* function = "wirepath_decide";
constexpr std::size_t lines_shown = 6;

thread_local std::string* collected = nullptr;

int collect(libbpf_print_level level, const char* format, va_list arguments) {
    if (collected == nullptr || level != LIBBPF_WARN)
        return 0;
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, arguments);
    if (length > 0) {
        std::string text(static_cast<std::size_t>(length) + 1, '\0');
        std::vsnprintf(text.data(), text.size(), format, again);
        text.pop_back();
        *collected += text;
    }
    va_end(again);
    return length;
}

// Without what says nothing of the program: what the verifier counted, and libbpf's marks.
bool is_told(std::string_view line) {
    for (const char* prefix : {"processed ", "verification time", "stack depth", "-- "})
        if (line.starts_with(prefix))
            return false;
    return !line.empty();
}

std::string last_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string_view line = text.substr(begin, end - begin);
        if (line.starts_with("libbpf: "))
            line.remove_prefix(8);
        if (is_told(line))
            lines.push_back(line);
        begin = end + 1;
    }
    std::string last;
    for (std::size_t i = lines.size() - std::min(lines.size(), lines_shown); i < lines.size(); ++i)
        last += "\n  " + std::string(lines[i]);
    return last;
}

bool ends_with(const std::string& path, std::string_view suffix) { return std::string_view(path).ends_with(suffix); }

Fd object_of(const std::string& path) {
    if (!ends_with(path, ".c") && !ends_with(path, ".o"))
        throw Error(Code::bad_option, "the option program cannot be '" + path + "'", 0,
                    "It takes a source (.c) or an object (.o)");
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        throw Error::from_errno("opening " + path, errno, "It is what the option program names");
    return ends_with(path, ".c") ? compile_with_clang(path) : std::move(file);
}

struct FreeBtf {
    void operator()(btf* types) const noexcept { btf__free(types); }
};
struct FreeLinker {
    void operator()(bpf_linker* linker) const noexcept { bpf_linker__free(linker); }
};

void check_function(const std::string& object, const std::string& path) {
    const std::unique_ptr<btf, FreeBtf> types(btf__parse_elf(object.c_str(), nullptr));
    if (types == nullptr)
        throw Error(Code::bad_option, path + " is no BPF object with type information", 0,
                    "Compile it with clang -g -O2 -target bpf -c");
    const int id = btf__find_by_name_kind(types.get(), function, BTF_KIND_FUNC);
    if (id < 0 || btf_vlen(btf__type_by_id(types.get(), static_cast<std::uint32_t>(id))) != BTF_FUNC_GLOBAL)
        throw Error(Code::bad_option, path + " has no function " + function, 0,
                    "Include wirepath.bpf.h and write one, not static: int wirepath_decide(void *ctx, struct "
                    "wirepath_packet *packet)");
}

// said: by libbpf, which names the object as it was given it.
Error cannot_link(std::string said, const std::string& object, const std::string& path) {
    for (std::size_t at = said.find(object); at != std::string::npos; at = said.find(object, at + path.size()))
        said.replace(at, object.size(), path);
    const auto says = [&](const char* word) { return said.find(word) != std::string::npos; };
    return Error(Code::bad_option, "linking " + path + ", libbpf says:" + said, 0,
                 says("'license'")     ? "Leave the license out, or make it Wirepath's: \"Dual BSD/GPL\""
                 : says("conflicting") ? "A name is Wirepath's already: choose another one, or make it static"
                                       : "");
}

} // namespace

LibbpfWarnings::LibbpfWarnings() : before_(libbpf_set_print(&collect)) { collected = &text_; }

LibbpfWarnings::~LibbpfWarnings() {
    collected = nullptr;
    libbpf_set_print(before_);
}

std::string LibbpfWarnings::of_the_verifier() const {
    const std::size_t begin = text_.rfind("BEGIN PROG LOAD LOG"), end = text_.rfind("END PROG LOAD LOG");
    if (begin == std::string::npos || end == std::string::npos || end < begin)
        return {};
    return last_lines(std::string_view(text_).substr(text_.find('\n', begin), end - text_.find('\n', begin)));
}

std::string LibbpfWarnings::of_libbpf() const { return last_lines(text_); }

std::string linked_with(std::span<const char> ours, const std::string& path) {
    const Fd theirs = object_of(path), own = file_in_memory("packets"), linked = file_in_memory("linked");
    const LibbpfWarnings warnings;
    check_function(path_of(theirs), path);
    if (::write(own.get(), ours.data(), ours.size()) != static_cast<ssize_t>(ours.size()))
        throw Error::from_errno("writing a file in memory", errno);
    const std::unique_ptr<bpf_linker, FreeLinker> linker(bpf_linker__new(path_of(linked).c_str(), nullptr));
    // Ours first: what it has in .bss and .rodata must stay where the skeleton looks for it.
    if (linker == nullptr || bpf_linker__add_file(linker.get(), path_of(own).c_str(), nullptr) != 0 ||
        bpf_linker__add_file(linker.get(), path_of(theirs).c_str(), nullptr) != 0 ||
        bpf_linker__finalize(linker.get()) != 0)
        throw cannot_link(warnings.of_libbpf(), path_of(theirs), path);
    return contents_of(linked);
}

} // namespace wirepath::ebpf
