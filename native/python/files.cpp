// SPDX-License-Identifier: Apache-2.0
#include "python/sinks.hpp"
#include "sinks/file.hpp"

namespace wirepath::python {
namespace {

using File = PySinkOf<FileSink>;

std::chrono::nanoseconds of_seconds(double seconds) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

FileFormat format_named(const std::string& name) {
    if (name == "pcap" || name == "pcapng")
        return name == "pcap" ? FileFormat::pcap : FileFormat::pcapng;
    throw Error(Code::bad_option, "'format' cannot be '" + name + "'", 0, "It is pcap or pcapng");
}

files::Compression compression_named(const std::string& name) {
    if (name == "none")
        return files::Compression::none;
    if (name == "gzip" || name == "zstd")
        return name == "gzip" ? files::Compression::gzip : files::Compression::zstd;
    throw Error(Code::bad_option, "'compression' cannot be '" + name + "'", 0, "It is none, gzip or zstd");
}

FileNaming::Style naming_named(const std::string& name) {
    if (name == "tcpdump" || name == "dumpcap")
        return name == "tcpdump" ? FileNaming::Style::tcpdump : FileNaming::Style::dumpcap;
    throw Error(Code::bad_option, "'naming' cannot be '" + name + "'", 0, "It is tcpdump or dumpcap");
}

void construct(File* at, std::string path, const std::optional<std::string>& format,
               const std::optional<std::string>& compression, int level, bool nanoseconds,
               std::optional<double> flush_after, bool packet_buffered, std::uint64_t rotate_bytes,
               std::uint64_t rotate_packets, double rotate_after, bool rotate_aligned, std::uint32_t keep_files,
               std::uint64_t stop_after_files, const std::string& naming, std::string command,
               std::vector<std::string> comments) {
    FileSinkOptions options;
    options.path = std::move(path);
    if (format)
        options.format = format_named(*format);
    if (compression)
        options.compression = compression_named(*compression);
    options.level = level;
    options.nanoseconds = nanoseconds;
    if (flush_after)
        options.flush_after = std::chrono::duration_cast<std::chrono::milliseconds>(of_seconds(*flush_after));
    options.packet_buffered = packet_buffered;
    options.rotate_bytes = rotate_bytes;
    options.rotate_packets = rotate_packets;
    options.rotate_after = of_seconds(rotate_after);
    options.rotate_aligned = rotate_aligned;
    options.keep_files = keep_files;
    options.stop_after_files = stop_after_files;
    options.naming = naming_named(naming);
    options.command = std::move(command);
    if (!comments.empty()) {
        options.texts = files::section_texts_of_host();
        options.texts->comments = std::move(comments);
    }
    new (at) File(std::make_unique<FileSink>(std::move(options)));
}

nb::list files_done(File& self) {
    nb::list result;
    for (const FileSink::File& file : self.typed().files_kept())
        result.append(nb::make_tuple(file.path, file.packets, file.bytes));
    return result;
}

} // namespace

void bind_files(nb::module_& m) {
    nb::class_<File, PySink>(m, "FileSink")
        .def("__init__", &construct, "path"_a, nb::kw_only(), "format"_a = nb::none(), "compression"_a = nb::none(),
             "level"_a = 0, "nanoseconds"_a = true, "flush_after"_a = nb::none(), "packet_buffered"_a = false,
             "rotate_bytes"_a = 0, "rotate_packets"_a = 0, "rotate_after"_a = 0.0, "rotate_aligned"_a = false,
             "keep_files"_a = 0, "stop_after_files"_a = 0, "naming"_a = "tcpdump", "command"_a = "",
             "comments"_a = std::vector<std::string>())
        .def("flush", [](File& self) { self.typed().ask_flush(); })
        .def("take_completed", [](File& self) { return self.typed().take_completed(); })
        .def_prop_ro("packets", [](File& self) { return self.typed().packets(); })
        .def_prop_ro("bytes", [](File& self) { return self.typed().bytes(); })
        .def_prop_ro("files", [](File& self) { return self.typed().files(); })
        .def_prop_ro("left_out", [](File& self) { return self.typed().left_out(); })
        .def_prop_ro("files_done", &files_done);
}

} // namespace wirepath::python
