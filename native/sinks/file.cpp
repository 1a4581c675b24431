// SPDX-License-Identifier: Apache-2.0
#include "sinks/file.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "core/engine.hpp"
#include "files/pcap_encoder.hpp"

namespace wirepath {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_remembered = 1000;

bool ends_with(const std::string& path, std::size_t end, std::string_view extension) {
    return end >= extension.size() &&
           std::string_view(path).substr(end - extension.size(), extension.size()) == extension;
}

files::Compression compression_of(const std::string& path) {
    return ends_with(path, path.size(), ".gz")    ? files::Compression::gzip
           : ends_with(path, path.size(), ".zst") ? files::Compression::zstd
                                                  : files::Compression::none;
}

FileFormat format_of(const std::string& path) {
    std::size_t end = path.size();
    if (compression_of(path) != files::Compression::none)
        end = path.rfind('.');
    return ends_with(path, end, ".pcap") ? FileFormat::pcap : FileFormat::pcapng;
}

bool is_live(const Info& info) {
    for (const Registered& row : registry())
        if (row.name == info.engine)
            return row.engine != nullptr && row.engine->target == Takes::interface;
    return false;
}

FileNaming naming_of(const FileSinkOptions& options) {
    return {options.naming, options.rotate_after.count() != 0, options.rotate_bytes != 0 || options.rotate_packets != 0,
            options.keep_files};
}

} // namespace

FileSink::FileSink(FileSinkOptions options) : options_(std::move(options)), names_(options_.path, naming_of(options_)) {
    if (!options_.format)
        options_.format = format_of(options_.path);
    if (!options_.compression)
        options_.compression = compression_of(options_.path);
    files::compressor_for(*options_.compression, options_.level); // refuses a level that there is not
    if (rotates() && options_.path == "-")
        throw Error(Code::bad_option, "standard output cannot be rotated", 0, "Give a file's name");
    if (options_.rotate_bytes != 0)
        limits_.bytes = options_.rotate_bytes;
    if (options_.rotate_packets != 0)
        limits_.packets = options_.rotate_packets;
}

// Without end() nothing more is written: it may be that this is a fork of the process that writes.
FileSink::~FileSink() {
    reap();
    if (!commands_.empty() && !fork_guard_.in_child())
        std::thread([commands = std::move(commands_)] {
            for (const pid_t pid : commands)
                ::waitpid(pid, nullptr, 0);
        }).detach();
}

void FileSink::begin(const Info& info) {
    live_ = is_live(info);
    make_encoder(info);
    plan_rotation(Wall::now(), true);
    open_next(false);
    if (check() != Status::ok)
        throw fault();
}

void FileSink::make_encoder(const Info& info) {
    if (*options_.format == FileFormat::pcap) {
        encoder_ = std::make_unique<files::PcapEncoder>(info.interfaces, options_.nanoseconds);
        return;
    }
    const files::SectionTexts texts = options_.texts ? *options_.texts : files::section_texts_of_host();
    encoder_ = std::make_unique<files::PcapngEncoder>(info.interfaces, texts, live_);
}

void FileSink::open_next(bool by_time) {
    const std::string path = rotates() ? names_.next(Wall::to_time_t(Wall::now()), by_time) : options_.path;
    output_ = std::make_unique<files::Output>(path, *options_.compression, options_.level);
    files_begun_.fetch_add(1, std::memory_order_relaxed);
    flush_after_ = options_.packet_buffered ? 0ms : options_.flush_after.value_or(output_->regular() ? 1000ms : 10ms);
    last_flush_ = Steady::now();
    encoder_->begin(*output_);
    if (!output_->regular() || *options_.compression != files::Compression::none)
        output_->flush(); // the reader at the other end may start; a compressed header is a stream of its own
}

Status FileSink::consume(const Batch& batch, Rows rows) noexcept {
    if (status_ != Status::ok || stopped_)
        return stopped_ ? Status::end_of_file : status_;
    try {
        if (const Status status = rotate_if_due(); status != Status::ok)
            return status;
        return write(batch, rows);
    } catch (const Error& error) {
        return fail(error);
    } catch (const std::exception& error) {
        return fail(Error(Code::system, std::string("writing to ") + options_.path + ": " + error.what()));
    }
}

Status FileSink::write(const Batch& batch, Rows rows) {
    for (;;) {
        rows.begin = encoder_->write(batch, rows, limits_, *output_);
        if (const Status status = check(); status != Status::ok)
            return status;
        if (rows.begin == rows.end)
            return flush_if_due();
        if (const Status status = rotate(false); status != Status::ok)
            return status;
    }
}

Status FileSink::idle() noexcept {
    if (status_ != Status::ok || stopped_ || !output_)
        return stopped_ ? Status::end_of_file : status_;
    try {
        reap();
        if (const Status status = rotate_if_due(); status != Status::ok)
            return status;
        return flush_if_due();
    } catch (const Error& error) {
        return fail(error);
    } catch (const std::exception& error) {
        return fail(Error(Code::system, std::string("writing to ") + options_.path + ": " + error.what()));
    }
}

Status FileSink::flush_if_due() {
    if (output_->flushed())
        return Status::ok;
    const auto now = Steady::now();
    const bool asked = flush_asked_.load(std::memory_order_relaxed) && flush_asked_.exchange(false);
    if (!asked && now - last_flush_ < flush_after_) {
        count();
        return Status::ok;
    }
    last_flush_ = now;
    return flush();
}

Status FileSink::flush() noexcept {
    if (output_)
        output_->flush();
    return check();
}

// The first time at which the next file begins.
void FileSink::plan_rotation(Wall::time_point now, bool first) {
    const auto after = std::chrono::duration_cast<Wall::duration>(options_.rotate_after);
    if (after.count() == 0)
        return;
    if (options_.rotate_aligned)
        next_rotation_ = Wall::time_point((now.time_since_epoch() / after + 1) * after);
    else if (first || now < next_rotation_ || now - next_rotation_ >= after)
        next_rotation_ = now + after;
    else
        next_rotation_ += after; // no drift
}

Status FileSink::rotate_if_due() {
    if (options_.rotate_after.count() == 0)
        return Status::ok;
    const auto now = Wall::now();
    if (now < next_rotation_)
        return Status::ok;
    plan_rotation(now, false);
    return rotate(true);
}

Status FileSink::rotate(bool by_time) {
    if (const Status status = close_current(false); status != Status::ok)
        return status;
    if (options_.stop_after_files != 0 && files() >= options_.stop_after_files) {
        stopped_ = true;
        return Status::end_of_file;
    }
    open_next(by_time);
    return check();
}

Status FileSink::close_current(bool last) {
    if (last)
        encoder_->end(*output_, statistics_);
    else
        encoder_->end(*output_, {});
    output_->finish();
    const Status status = check();
    packets_before_ += output_->written().packets;
    bytes_before_ += output_->written().bytes;
    const std::string path = output_->path();
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(done_, [&](const File& file) { return file.path == path; }); // written over
        done_.push_back({path, output_->written().packets, output_->written().bytes});
        completed_.push_back(path);
        if (completed_.size() > most_remembered)
            completed_.pop_front();
    }
    output_.reset();
    forget_oldest(last ? 0 : 1);
    if (status == Status::ok)
        run_command(path);
    return status;
}

// Of a ring: deletes what is too old, once `coming` more files are there.
void FileSink::forget_oldest(std::size_t coming) {
    const bool ring = options_.keep_files != 0 && options_.naming == FileNaming::Style::dumpcap;
    const std::size_t most =
        ring ? options_.keep_files - std::min<std::size_t>(options_.keep_files, coming) : most_remembered;
    const std::lock_guard lock(mutex_);
    while (done_.size() > most) {
        if (ring)
            ::unlink(done_.front().path.c_str());
        done_.pop_front();
    }
}

Status FileSink::end(const Stats& /*stats*/) noexcept {
    if (!encoder_ || !output_ || fork_guard_.in_child())
        return stopped_ ? Status::ok : status_;
    try {
        if (status_ == Status::ok) {
            const Status status = close_current(true);
            return status == Status::ok && command_fault_ ? fail(*command_fault_) : status;
        }
        output_->finish();
        count();
        const std::lock_guard lock(mutex_);
        done_.push_back({output_->path(), output_->written().packets, output_->written().bytes});
        return status_;
    } catch (const Error& error) {
        return fail(error);
    } catch (const std::exception& error) {
        return fail(Error(Code::system, std::string("writing to ") + options_.path + ": " + error.what()));
    }
}

void FileSink::interface_ends(std::uint16_t interface, const Stats& stats) {
    if (!live_)
        return; // a file's own statistics stand in it
    if (statistics_.size() <= interface)
        statistics_.resize(interface + std::size_t{1});
    statistics_[interface] = stats;
}

Status FileSink::check() {
    count();
    if (encoder_->fault())
        return fail(*encoder_->fault());
    if (output_->status() == Status::ok)
        return Status::ok;
    fail(output_->fault());
    status_ = output_->status();
    return status_;
}

Status FileSink::fail(Error error) noexcept {
    if (status_ == Status::ok) {
        status_ = error.code() == Code::no_space ? Status::no_space : Status::error;
        fault_ = std::move(error);
    }
    return status_;
}

Error FileSink::fault() const { return fault_ ? *fault_ : Error(Code::system, "writing to " + options_.path); }

void FileSink::count() noexcept {
    packets_.store(packets_before_ + (output_ ? output_->written().packets : 0), std::memory_order_relaxed);
    bytes_.store(bytes_before_ + (output_ ? output_->written().bytes : 0), std::memory_order_relaxed);
}

std::vector<std::string> FileSink::take_completed() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names(completed_.begin(), completed_.end());
    completed_.clear();
    return names;
}

std::vector<FileSink::File> FileSink::files_kept() const {
    const std::lock_guard lock(mutex_);
    return {done_.begin(), done_.end()};
}

std::uint64_t FileSink::left_out() const noexcept { return encoder_ ? encoder_->left_out() : 0; }

void FileSink::run_command(const std::string& path) {
    if (options_.command.empty())
        return;
    reap();
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none, defaults;
    sigemptyset(&none); // the pipeline's threads block every signal: the command must not inherit that
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string command = options_.command, file = path;
    char* const arguments[] = {command.data(), file.data(), nullptr};
    pid_t pid = 0;
    const int err = ::posix_spawnp(&pid, command.c_str(), nullptr, &attributes, arguments, environ);
    ::posix_spawnattr_destroy(&attributes);
    if (err == 0)
        commands_.push_back(pid);
    else if (!command_fault_) // the capture is worth more: it goes on, and end() says it
        command_fault_ = Error::from_errno("running " + command + " " + path, err);
}

void FileSink::reap() noexcept {
    std::erase_if(commands_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
}

} // namespace wirepath
