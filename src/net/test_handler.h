// SPDX-License-Identifier: Apache-2.0
// The handler that this module's tests talk to. Tests only.
#pragma once

#include "net/client.h"
#include "net/event.h"
#include "net/test_bed.h"

namespace knarr::net {

inline Task<std::string> text_of(ClientResponse& response) {
  size_t limit = 64 << 20;
  Result<std::string> text = co_await response.body->read_all(limit);
  co_return text.ok() ? *text : "error: " + std::string(text.status().message());
}

// What the handlers of this file have seen.
struct Seen {
  int closed = 0;
  size_t written = 0;
  bool returned = false;
  Event event;
  std::shared_ptr<const Peer> peer;
};

inline Task<void> stream_for_ever(ResponseWriter& writer, Seen* seen) {
  writer.on_close([seen] {
    ++seen->closed;
    seen->event.set();
  });
  Status status = co_await writer.start(200, {});
  Body block(Bytes::copy(std::string(16 << 10, 'x')));
  while (status.ok()) {
    Body next = block;
    status = co_await writer.write(std::move(next));
    seen->written += block.size();
  }
  seen->returned = true;
  seen->event.set();
}

inline Task<void> wait_for_close(ResponseWriter& writer, Seen* seen) {
  Notifier gone(co_await this_executor());
  writer.on_close([&gone, seen] {
    ++seen->closed;
    gone.notify();
  });
  Status status = co_await writer.start(200, {});
  Body first("first\n");
  status = co_await writer.write(std::move(first));
  if (!writer.closed()) co_await gone.wait();
  seen->returned = true;
  seen->event.set();
}

inline Task<void> echo_raw(ResponseWriter& writer) {
  Headers headers;
  headers.add("Upgrade", "raw");
  Result<std::unique_ptr<ByteStream>> stream = co_await writer.upgrade(std::move(headers));
  if (!stream.ok()) {
    Body why(stream.status().message());
    Status ignored = co_await writer.respond(stream.status().code(), {}, std::move(why));
    co_return;
  }
  char buffer[1000];
  while (true) {
    Result<size_t> count = co_await (*stream)->read(buffer, sizeof(buffer));
    if (!count.ok() || *count == 0) break;
    std::string_view bytes(buffer, *count);
    Status written = co_await (*stream)->write(bytes);
    if (!written.ok()) break;
  }
}

inline Task<void> handle(Seen* seen, Request& request, ResponseWriter& writer) {
  Status ignored;
  if (request.path == "/forever") {
    co_await stream_for_ever(writer, seen);
  } else if (request.path == "/wait") {
    co_await wait_for_close(writer, seen);
  } else if (request.path == "/raw") {
    co_await echo_raw(writer);
  } else if (request.path == "/peer") {
    seen->peer = request.peer;
    ignored = co_await writer.respond(200, {}, {});
  } else if (request.path == "/nothing") {
  } else if (request.path == "/throw") {
    throw std::runtime_error("on purpose");
  } else if (request.path == "/pieces") {
    ignored = co_await writer.start(200, {});
    for (int i = 0; i < 10; ++i) {
      Body piece(fmt::format("{},", i));
      ignored = co_await writer.write(std::move(piece));
      co_await yield_now();
    }
    Headers trailers;
    trailers.add("x-end", "yes");
    ignored = co_await writer.finish(std::move(trailers));
  } else if (request.path == "/big") {
    Body body;
    Bytes slice = Bytes::copy(std::string(1000, 'b'));
    for (int i = 0; i < 5000; ++i) body.append(Slice(slice));
    ignored = co_await writer.respond(200, {}, std::move(body));
  } else if (request.path == "/limit") {
    size_t limit = 1000;
    Result<std::string> body = co_await request.body->read_all(limit);
    Body answer(body.ok() ? std::string_view("fits") : body.status().message());
    ignored =
        co_await writer.respond(body.ok() ? 200 : body.status().code(), {}, std::move(answer));
  } else {
    size_t limit = 64 << 20;
    Result<std::string> body = co_await request.body->read_all(limit);
    Headers headers;
    headers.add("X-Method", request.method);
    headers.add("X-Major", std::to_string(request.http_major));
    headers.add("X-Query", request.query);
    headers.add("X-Evil", "a\r\nb: c");
    Body answer(body.ok() ? *body : std::string(body.status().message()));
    ignored = co_await writer.respond(200, std::move(headers), std::move(answer));
  }
}

struct Handling {
  Seen* seen;
  Task<void> operator()(Request& request, ResponseWriter& writer) const {
    return handle(seen, request, writer);
  }
};

inline Task<void> expect_status(std::shared_ptr<Client> client, int status) {
  ClientRequest request;
  request.target = "/peer";
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok()) << response.status().message();
  if (!response.ok()) co_return;
  EXPECT_EQ(response->status, status);
  std::string text = co_await text_of(*response);
}

}  // namespace knarr::net
