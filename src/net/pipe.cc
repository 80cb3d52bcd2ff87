// SPDX-License-Identifier: Apache-2.0
#include "net/event.h"
#include "net/stream.h"

namespace knarr::net {

namespace {

constexpr size_t kPipeCapacity = 64 << 10;
constexpr size_t kTunnelBuffer = 32 << 10;

// One direction of a pipe.
struct Channel {
  std::string data;
  size_t taken = 0;
  bool ended = false;   // the writer is done
  bool broken = false;  // the reader has gone
  Event readable, writable;
  size_t size() const { return data.size() - taken; }
};

class PipeEnd final : public ByteStream {
 public:
  PipeEnd(std::shared_ptr<Channel> in, std::shared_ptr<Channel> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  ~PipeEnd() override { close(); }

  Task<Result<size_t>> read(char* buffer, size_t size) override {
    std::shared_ptr<Channel> in = in_;
    while (in->size() == 0 && !in->ended && !in->broken) co_await in->readable.wait();
    if (in->broken) co_return Status::error("read on a closed pipe");
    size_t count = std::min(size, in->size());
    std::memcpy(buffer, in->data.data() + in->taken, count);
    in->taken += count;
    if (in->size() == 0) {
      in->data.clear();
      in->taken = 0;
    }
    in->writable.set();
    co_return count;
  }

  Task<Status> write(std::string_view bytes) override {
    std::shared_ptr<Channel> out = out_;
    while (!bytes.empty()) {
      while (out->size() >= kPipeCapacity && !out->broken && !out->ended)
        co_await out->writable.wait();
      if (out->broken || out->ended) co_return Status::error("write on a closed pipe");
      size_t count = std::min(bytes.size(), kPipeCapacity - out->size());
      out->data.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      out->readable.set();
    }
    co_return Status();
  }

  Task<Status> write(const Body& body) override {
    for (const Slice& slice : body.slices()) {
      Status status = co_await write(slice.view);
      if (!status.ok()) co_return status;
    }
    co_return Status();
  }

  void shutdown_write() override {
    out_->ended = true;
    out_->readable.set();
    out_->writable.set();
  }

  void close() override {
    shutdown_write();
    in_->broken = true;
    in_->readable.set();
    in_->writable.set();
  }

 private:
  std::shared_ptr<Channel> in_, out_;
};

// What both directions of a tunnel share.
struct Tunnel {
  std::unique_ptr<ByteStream> a, b;
  int running = 2;
  Event finished;
};

Task<void> copy(std::shared_ptr<Tunnel> tunnel, ByteStream* from, ByteStream* to) {
  std::vector<char> buffer(kTunnelBuffer);
  bool failed = false;
  while (!failed) {
    Result<size_t> count = co_await from->read(buffer.data(), buffer.size());
    if (!count.ok()) failed = true;
    if (failed || *count == 0) break;
    std::string_view bytes(buffer.data(), *count);
    Status written = co_await to->write(bytes);
    if (!written.ok()) failed = true;
  }
  if (failed) {
    // Nothing more can pass this way, and the other end has to learn of it.
    from->close();
    to->close();
  } else {
    to->shutdown_write();
  }
  if (--tunnel->running == 0) tunnel->finished.set();
}

}  // namespace

std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> make_pipe(Executor) {
  auto forth = std::make_shared<Channel>(), back = std::make_shared<Channel>();
  return {std::make_unique<PipeEnd>(back, forth), std::make_unique<PipeEnd>(forth, back)};
}

Task<void> tunnel(std::unique_ptr<ByteStream> a, std::unique_ptr<ByteStream> b) {
  Executor executor = co_await this_executor();
  auto state = std::make_shared<Tunnel>();
  state->a = std::move(a);
  state->b = std::move(b);
  spawn(executor, copy(state, state->a.get(), state->b.get()));
  spawn(executor, copy(state, state->b.get(), state->a.get()));
  co_await state->finished.wait();
  state->a->close();
  state->b->close();
}

}  // namespace knarr::net
