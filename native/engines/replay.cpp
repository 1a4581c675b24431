// SPDX-License-Identifier: Apache-2.0
// A capture file as a source: as fast as it can be read, or as it was recorded.
#include <charconv>
#include <cmath>

#include "core/engine.hpp"
#include "files/reader.hpp"

namespace wirepath {
namespace {

using std::chrono::nanoseconds;
using Now = std::chrono::steady_clock;

constexpr std::uint32_t default_snaplen = 262144; // keeps all there is

// 0: as fast as it can. Throws Error.
double parse_speed(const std::string& text) {
    if (text == "max")
        return 0;
    if (text == "recorded")
        return 1;
    double factor = 0;
    const std::string_view number =
        text.ends_with('x') ? std::string_view(text).substr(0, text.size() - 1) : std::string_view(text);
    const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), factor);
    if (failed != std::errc{} || end != number.data() + number.size() || !std::isfinite(factor) || factor <= 0)
        throw Error(Code::bad_option, "the option speed cannot be '" + text + "'", 0,
                    "It takes max, recorded, or how many times as fast as recorded: 2x, 0.5x");
    return factor;
}

// When each packet is due.
class Pace {
  public:
    explicit Pace(double factor) noexcept : factor_(factor) {}
    bool any() const noexcept { return factor_ != 0; }

    // How long to wait for a packet of this time; below zero: it is late.
    nanoseconds until(std::int64_t ts) noexcept {
        if (!started_) {
            started_ = true;
            first_ts_ = ts;
            begin_ = Now::now();
        }
        const double after = static_cast<double>(ts - first_ts_) / factor_;
        const auto due = begin_ + nanoseconds(static_cast<std::int64_t>(std::min(after, 9e17)));
        return due - Now::now();
    }

  private:
    double factor_;
    bool started_ = false;
    std::int64_t first_ts_ = 0;
    Now::time_point begin_;
};

class ReplaySource final : public Source {
  public:
    ReplaySource(const std::string& path, double speed, files::ReaderOptions options)
        : first_interface_(options.interfaces->size()), reader_(path, std::move(options)), pace_(speed) {
        info_.engine = "replay";
        info_.mode = speed == 0 ? "as fast as it can be read" : "paced by its timestamps";
        info_.interfaces = reader_.interfaces();
        info_.interface = static_cast<std::uint16_t>(first_interface_);
    }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override {
        return filter != nullptr ? Place::pipeline : Place::none;
    }
    void start() override {}
    Status receive(Batch& into, nanoseconds timeout) noexcept override;
    void interrupt() noexcept override { reader_.interrupt(); }
    void stop() noexcept override {}
    Stats stats() override;
    Error fault() const override { return reader_.fault(); }

  private:
    Status receive_paced(Batch& into, nanoseconds timeout) noexcept;
    void deliver_due(Batch& into) noexcept;
    void count(const Batch& batch) noexcept;

    std::size_t first_interface_;
    files::Reader reader_;
    Pace pace_;
    Info info_;
    Batch read_{1024};          // paced: what was read,
    std::uint32_t next_ = 0;    // the first of its rows that was not delivered,
    std::size_t next_item_ = 0; // and the first of its annotations
    Counter received_, received_bytes_, waits_;
};

Status ReplaySource::receive(Batch& into, nanoseconds timeout) noexcept {
    const Status status = pace_.any() ? receive_paced(into, timeout) : reader_.receive(into, timeout);
    if (status == Status::ok)
        count(into);
    return status;
}

Status ReplaySource::receive_paced(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    const auto start = Now::now();
    if (next_ == read_.size()) {
        next_ = 0;
        next_item_ = 0;
        if (const Status status = reader_.receive(read_, timeout); status != Status::ok)
            return status;
    }
    if (!read_.empty()) {
        const nanoseconds wait = pace_.until(read_.columns()->ts[next_]);
        const nanoseconds left = timeout.count() < 0 ? wait : timeout - (Now::now() - start);
        if (wait.count() > 0) {
            waits_.add(1);
            short revents = 0;
            const nanoseconds nap = std::max(nanoseconds(0), std::min(wait, left));
            if (const Status status = reader_.interruption().wait(-1, nap, revents); status == Status::interrupted)
                return status;
            if (pace_.until(read_.columns()->ts[next_]).count() > 0)
                return Status::timeout; // the time given was shorter, or a signal came
        } else if (reader_.interruption().take()) {
            return Status::interrupted;
        }
    }
    deliver_due(into);
    return Status::ok;
}

void ReplaySource::deliver_due(Batch& into) noexcept {
    into.begin(read_.base().data(), read_.base().size(), read_.lease());
    const std::uint32_t begin = next_;
    while (next_ < read_.size() && !into.full() &&
           (next_ == begin || pace_.until(read_.columns()->ts[next_]).count() <= 0))
        into.push(read_[next_++]);
    const auto items = read_.annotations().items();
    for (; next_item_ < items.size(); ++next_item_) {
        const Annotation& item = items[next_item_];
        if (item.row >= next_ && next_ != read_.size())
            break;
        into.annotations().add(item.kind, item.row - begin, item.type, read_.annotations().bytes_of(item),
                               item.swapped);
    }
}

void ReplaySource::count(const Batch& batch) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t row = 0; row < batch.size(); ++row)
        bytes += batch.columns()->caplen[row];
    received_.add(batch.size());
    received_bytes_.add(bytes);
}

Stats ReplaySource::stats() {
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.copied = reader_.copied().packets.get();
    stats.copied_bytes = reader_.copied().bytes.get();
    stats.waits = reader_.waits() + waits_.get();
    return stats;
}

constexpr OptionSpec options[] = {
    {"speed",
     OptionSpec::Kind::text,
     "",
     "max",
     "max: as fast as the file can be read; recorded: as its timestamps say; 2x, 0.5x: so many times as fast",
     {}},
    {"follow", OptionSpec::Kind::boolean, "", "off", "wait at the file's end for more to be written", {}},
    {"buffer_nr",
     OptionSpec::Kind::integer,
     "buffers",
     "1024",
     "buffers of 256 KiB that views of earlier batches may hold; memory is used only where they do",
     {}},
};

Probe probe() { return {true, {}}; }

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const Options given("replay", options, request.options);
    files::ReaderOptions reader;
    reader.follow = given.flag("follow");
    const std::int64_t buffers = given.integer("buffer_nr");
    if (buffers < 2 || buffers > 1 << 20)
        throw Error(Code::bad_option, "the option buffer_nr cannot be " + std::to_string(buffers), 0,
                    "It takes 2 to 1048576");
    reader.buffers = static_cast<std::uint32_t>(buffers);
    if (request.snaplen < default_snaplen)
        reader.keep_bytes = request.snaplen;
    reader.interfaces = request.interfaces;
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(
        std::make_unique<ReplaySource>(request.target, parse_speed(given.text("speed")), std::move(reader)));
    return sources;
}

} // namespace

extern const Engine replay_engine{"replay", Takes::file, false, options, probe, open};

} // namespace wirepath
