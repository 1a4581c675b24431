// SPDX-License-Identifier: Apache-2.0
#include "files/reader.hpp"

#include <algorithm>
#include <cerrno>

namespace wirepath::files {
namespace {

using Now = std::chrono::steady_clock;

std::chrono::nanoseconds left_of(std::chrono::nanoseconds timeout, Now::time_point start) {
    if (timeout.count() < 0)
        return timeout;
    return std::max(std::chrono::nanoseconds(0), timeout - (Now::now() - start));
}

} // namespace

Reader::Reader(const std::string& path, ReaderOptions options)
    : options_(std::move(options)), input_(path, options_.follow, interrupt_), pool_(options_.buffers, buffer_bytes) {
    if (input_.regular())
        prime();
}

// Reads what stands before the first packet, as far as the first buffer holds it.
void Reader::prime() {
    Status status = more(format_magic_bytes, std::chrono::nanoseconds(0));
    Batch none(1);
    Step step = Step::need_more;
    while (status == Status::ok) {
        none.begin(buffer_.data, buffer_.size, Lease());
        none.annotations() = std::move(prologue_);
        step = understand(none, Until::first_packet);
        prologue_ = std::move(none.annotations());
        if (step != Step::need_more || chunk_.size == buffer_.size)
            break;
        status = more(format_->needed(), std::chrono::nanoseconds(0));
    }
    if (step == Step::bad && chunk_.used == 0)
        throw Error(*fault_);
    fault_.reset(); // later damage is found again, in its turn
    if (status == Status::error)
        throw Error(input_.fault());
    if (status == Status::end_of_file && chunk_.used == 0 && !options_.follow)
        throw cut_short();
}

Status Reader::receive(Batch& into, std::chrono::nanoseconds timeout) noexcept {
    into.release();
    if (interrupt_.take())
        return Status::interrupted;
    try {
        return receive_until(into, timeout);
    } catch (const Error& error) {
        return fail(error);
    } catch (const std::bad_alloc&) {
        return fail(Error(Code::system, "reading " + input_.path(), ENOMEM));
    }
}

Status Reader::receive_until(Batch& into, std::chrono::nanoseconds timeout) {
    const auto start = Now::now();
    for (;;) {
        std::size_t wanted = format_magic_bytes;
        if (format_ || chunk_.left() >= format_magic_bytes) {
            begin(into);
            const Step step = understand(into, Until::batch_full);
            if (!into.empty() || !into.annotations().empty())
                return Status::ok;
            if (step == Step::bad)
                return Status::error;
            wanted = format_->needed();
            into.release(); // what is moved to another buffer is not held here
        }
        const Status status = more(wanted, left_of(timeout, start));
        if (status == Status::end_of_file && (chunk_.left() != 0 || !format_))
            return fail(cut_short());
        if (status == Status::error)
            return fail(input_.fault());
        if (status != Status::ok)
            return status;
    }
}

void Reader::begin(Batch& into) noexcept {
    into.begin(buffer_.data, buffer_.size, buffer_.lease);
    if (!prologue_.empty()) {
        into.annotations() = std::move(prologue_);
        prologue_.clear();
    }
}

Step Reader::understand(Batch& into, Until until) {
    if (!format_) {
        try {
            format_ = recognise(chunk_.at(), {options_.interfaces, options_.keep_bytes});
        } catch (const Error& error) {
            fail(Error(error.code(), doing() + error.doing(), 0, error.hint()));
            return Step::bad;
        }
    }
    const Step step = format_->read(chunk_, into, until);
    if (step == Step::bad)
        fail(Error(format_->fault().code(), doing() + format_->fault().doing()));
    return step;
}

// Reads on, so that the record that begins at chunk_.used, `wanted` bytes long, may become whole.
Status Reader::more(std::size_t wanted, std::chrono::nanoseconds timeout) {
    while (chunk_.left() < wanted) {
        if (buffer_.size - chunk_.used < wanted || chunk_.size == buffer_.size)
            if (const Status status = make_room(wanted); status != Status::ok)
                return status;
        std::size_t got = 0;
        const Status status = input_.read({buffer_.data + chunk_.size, buffer_.size - chunk_.size}, got, timeout);
        if (status != Status::ok)
            return status;
        chunk_.size += got;
    }
    return Status::ok;
}

// Another buffer, which begins with what is left of this one. Earlier rows may still be looked at, in this one.
Status Reader::make_room(std::size_t wanted) {
    buffer_.lease.reset(); // so that, if no one else holds it, the same warm memory is taken again
    BufferPool::Buffer next;
    std::optional<BufferPool> former; // what is left may lie in it
    if (wanted > buffer_bytes) {
        if (!large_ || large_->buffer_bytes() < wanted || !large_->take(next)) {
            former = std::move(large_);
            large_.emplace(1, wanted);
            large_->take(next);
        }
    } else if (!pool_.take(next)) {
        fail(Error(Code::no_buffer,
                   doing() + "earlier batches hold all " + std::to_string(options_.buffers) + " buffers", 0,
                   "Let go of some of them, or raise buffer_nr"));
        return Status::no_buffer;
    }
    if (chunk_.left() != 0)
        copy_payload(next.data, {chunk_.at(), chunk_.left()}, copied_);
    chunk_ = {next.data, chunk_.left(), 0, chunk_.position()};
    buffer_ = std::move(next);
    return Status::ok;
}

std::string Reader::doing() const { return "reading " + input_.path() + ": "; }

Error Reader::cut_short() const {
    const std::uint64_t end = chunk_.offset + chunk_.size;
    if (end == 0)
        return Error(Code::bad_file, doing() + "the file is empty");
    std::string what = "the file ends at byte " + std::to_string(end) + ", in the middle of ";
    if (chunk_.position() == 0)
        return Error(Code::bad_file, doing() + what + "its header");
    what += "the record that begins at byte " + std::to_string(chunk_.position());
    if (format_->needed() > chunk_.left())
        what += " and needs " + std::to_string(format_->needed()) + " bytes";
    return Error(Code::bad_file, doing() + what, 0, "What stands before it was read");
}

Status Reader::fail(Error error) noexcept {
    fault_ = std::move(error);
    return Status::error;
}

} // namespace wirepath::files
