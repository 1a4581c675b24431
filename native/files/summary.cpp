// SPDX-License-Identifier: Apache-2.0
#include "files/summary.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace wirepath::files {
namespace {

class Gathering {
  public:
    explicit Gathering(const std::string& path) : reader_(path, {}) {
        struct stat status = {};
        if (path != "-" && ::stat(path.c_str(), &status) == 0)
            summary_.file_bytes = static_cast<std::uint64_t>(status.st_size);
    }

    Summary run(const std::function<bool()>& go_on) {
        constexpr auto tick = std::chrono::milliseconds(100);
        Status status = Status::ok;
        while (status == Status::ok || status == Status::timeout) {
            summary_.complete = go_on();
            if (!summary_.complete)
                break;
            status = reader_.receive(batch_, tick);
            if (status == Status::ok)
                add_batch();
        }
        if (status != Status::ok && status != Status::timeout && status != Status::end_of_file)
            summary_.damage = reader_.fault();
        conclude();
        return std::move(summary_);
    }

  private:
    void add_batch() {
        summary_.interfaces.resize(reader_.interfaces()->size());
        for (std::uint32_t row = 0; row < batch_.size(); ++row)
            add(batch_[row]);
    }

    void add(const Packet& packet) {
        const auto caplen = static_cast<std::uint32_t>(packet.data.size());
        summary_.least_caplen = summary_.packets == 0 ? caplen : std::min(summary_.least_caplen, caplen);
        summary_.most_caplen = std::max(summary_.most_caplen, caplen);
        ++summary_.packets;
        summary_.bytes += caplen;
        summary_.original_bytes += packet.origlen;
        summary_.cut_packets += caplen < packet.origlen;
        ++summary_.interfaces[packet.interface].packets;
        summary_.interfaces[packet.interface].bytes += caplen;
        if ((packet.flags & flag_no_ts) != 0)
            ++summary_.packets_without_time;
        else
            add_time(packet.ts);
    }

    void add_time(std::int64_t ts) {
        summary_.in_order &= !summary_.first_ts || ts >= before_;
        summary_.first_ts = std::min(summary_.first_ts.value_or(ts), ts);
        summary_.last_ts = std::max(summary_.last_ts.value_or(ts), ts);
        before_ = ts;
    }

    void conclude() {
        summary_.compression = reader_.compression();
        summary_.plain_bytes = reader_.position();
        if (reader_.facts() != nullptr)
            summary_.facts = *reader_.facts();
        summary_.interfaces.resize(reader_.interfaces()->size());
        for (std::size_t i = 0; i < summary_.interfaces.size(); ++i)
            summary_.interfaces[i].interface = (*reader_.interfaces())[i];
        for (const auto& [row, counts] : summary_.facts.statistics)
            summary_.interfaces[row].counts = counts;
    }

    Reader reader_;
    Batch batch_;
    Summary summary_;
    std::int64_t before_ = 0;
};

} // namespace

Summary summarize(const std::string& path, const std::function<bool()>& go_on) { return Gathering(path).run(go_on); }

} // namespace wirepath::files
