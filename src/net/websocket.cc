// SPDX-License-Identifier: Apache-2.0
#include "net/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "net/event.h"
#include "net/text.h"

namespace knarr::net {

namespace {

constexpr size_t kReadSize = 16 << 10;
constexpr size_t kMaxControl = 125;

enum Opcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

// RFC 6455 4.2.2: proves that the server understood the question.
std::string accept_key(std::string_view key) {
  std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  return base64({reinterpret_cast<const char*>(digest), size});
}

void apply_mask(char* data, size_t size, const char* mask) {
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>(data[i] ^ mask[i & 3]);
}

struct FrameHead {
  bool fin = false;
  uint8_t opcode = 0;
  bool masked = false;
  uint64_t length = 0;
  char mask[4] = {};
  size_t size = 0;  // of the head itself
};

enum class HeadState { kMore, kReady, kBad };

HeadState parse_frame_head(std::string_view bytes, FrameHead* head) {
  if (bytes.size() < 2) return HeadState::kMore;
  auto byte = [bytes](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  head->fin = (byte(0) & 0x80) != 0;
  if ((byte(0) & 0x70) != 0) return HeadState::kBad;  // no extensions were agreed on
  head->opcode = byte(0) & 0x0f;
  head->masked = (byte(1) & 0x80) != 0;
  uint64_t length = byte(1) & 0x7f;
  size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
  head->size = 2 + extra + (head->masked ? 4 : 0);
  if (bytes.size() < head->size) return HeadState::kMore;
  if (extra > 0) {
    length = 0;
    for (size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
    if ((length >> 63) != 0) return HeadState::kBad;
  }
  head->length = length;
  if (head->masked) std::memcpy(head->mask, bytes.data() + 2 + extra, 4);
  return HeadState::kReady;
}

// Shared by the object and its running operations.
struct Socket {
  std::unique_ptr<ByteStream> stream;
  bool server = false;
  size_t max_message = 0;
  std::string in;
  size_t begin = 0;  // of what is unread in `in`
  bool close_sent = false, closed = false;
  Gate writing;

  std::string_view buffered() const { return std::string_view(in).substr(begin); }
  void consume(size_t count) {
    begin += count;
    if (begin == in.size()) {
      in.clear();
      begin = 0;
    }
  }
};
using SocketPtr = std::shared_ptr<Socket>;

std::string make_frame(const Socket& socket, uint8_t opcode, std::string_view data) {
  std::string frame;
  frame.reserve(data.size() + 14);
  frame.push_back(static_cast<char>(0x80 | opcode));
  uint8_t masked = socket.server ? 0 : 0x80;
  size_t extra = data.size() < 126 ? 0 : data.size() < 65536 ? 2 : 8;
  uint8_t length = extra == 0 ? static_cast<uint8_t>(data.size()) : extra == 2 ? 126 : 127;
  frame.push_back(static_cast<char>(masked | length));
  for (size_t i = extra; i > 0; --i)
    frame.push_back(static_cast<char>(data.size() >> (8 * (i - 1))));
  char mask[4] = {};
  if (!socket.server) {
    RAND_bytes(reinterpret_cast<unsigned char*>(mask), 4);
    frame.append(mask, 4);
  }
  size_t start = frame.size();
  frame.append(data);
  if (!socket.server) apply_mask(frame.data() + start, data.size(), mask);
  return frame;
}

Task<Status> send_frame(SocketPtr socket, uint8_t opcode, std::string data) {
  co_await socket->writing.enter();
  Status status;
  if (socket->closed || (socket->close_sent && opcode != kClose)) {
    status = Status::error("use of closed network connection");
  } else {
    if (opcode == kClose) socket->close_sent = true;
    std::string frame = make_frame(*socket, opcode, data);
    std::string_view view = frame;
    status = co_await socket->stream->write(view);
  }
  socket->writing.leave();
  co_return status;
}

Task<void> close_socket(SocketPtr socket, uint16_t code, std::string reason) {
  if (!socket->closed && !socket->close_sent) {
    reason.resize(std::min(reason.size(), kMaxControl - 2));
    std::string data = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    data += reason;
    Status ignored = co_await send_frame(socket, kClose, std::move(data));
  }
  if (!socket->closed) {
    socket->closed = true;
    socket->stream->close();
  }
}

Task<Status> fill(SocketPtr socket) {
  char buffer[kReadSize];
  Result<size_t> count = co_await socket->stream->read(buffer, sizeof(buffer));
  if (!count.ok()) co_return count.status();
  if (*count == 0) co_return Status::error("unexpected EOF");
  if (socket->begin > kReadSize) {
    socket->in.erase(0, socket->begin);
    socket->begin = 0;
  }
  socket->in.append(buffer, *count);
  co_return Status();
}

// One frame of a checked size. On a violation `violation` is the code to close with.
Task<Status> read_frame(SocketPtr socket, size_t room, FrameHead* head, std::string* data,
                        uint16_t* violation) {
  HeadState state = parse_frame_head(socket->buffered(), head);
  while (state == HeadState::kMore) {
    Status filled = co_await fill(socket);
    if (!filled.ok()) co_return filled;
    state = parse_frame_head(socket->buffered(), head);
  }
  bool control = (head->opcode & 8) != 0;
  if (state == HeadState::kBad || head->masked != socket->server ||
      (control && (head->length > kMaxControl || !head->fin))) {
    *violation = 1002;
    co_return Status::error("websocket: protocol error");
  }
  if (!control && head->length > room) {
    *violation = 1009;
    co_return Status::make(413, "RequestEntityTooLarge", "websocket: message is too large");
  }
  socket->consume(head->size);
  size_t left = head->length;
  while (true) {
    std::string_view here = socket->buffered().substr(0, left);
    data->append(here);
    left -= here.size();
    socket->consume(here.size());
    if (left == 0) break;
    Status filled = co_await fill(socket);
    if (!filled.ok()) co_return filled;
  }
  if (head->masked) apply_mask(data->data(), data->size(), head->mask);
  co_return Status();
}

Task<Result<std::optional<WebSocketMessage>>> read_message(SocketPtr socket) {
  WebSocketMessage message;
  bool started = false;
  while (true) {
    if (socket->closed) co_return Status::error("use of closed network connection");
    FrameHead head;
    std::string data;
    uint16_t violation = 0;
    size_t room = socket->max_message - message.data.size();
    Status status = co_await read_frame(socket, room, &head, &data, &violation);
    if (status.ok()) {
      bool known = head.opcode <= kBinary || (head.opcode >= kClose && head.opcode <= kPong);
      bool in_order = (head.opcode & 8) != 0 || (head.opcode == kContinuation) == started;
      if (!known || !in_order) {
        violation = 1002;
        status = Status::error("websocket: protocol error");
      }
    }
    if (!status.ok()) {
      if (violation != 0) co_await close_socket(socket, violation, std::string());
      co_return status;
    }
    if (head.opcode == kPing) {
      Status ignored = co_await send_frame(socket, kPong, std::move(data));
    } else if (head.opcode == kClose) {
      uint16_t code = 1000;
      co_await close_socket(socket, code, std::string());
      co_return std::optional<WebSocketMessage>();
    } else if (head.opcode != kPong) {
      if (head.opcode != kContinuation) message.binary = head.opcode == kBinary;
      started = true;
      if (message.data.empty())
        message.data = std::move(data);
      else
        message.data += data;
      if (head.fin) co_return std::optional<WebSocketMessage>(std::move(message));
    }
  }
}

class WebSocketImpl final : public WebSocket {
 public:
  WebSocketImpl(SocketPtr socket, std::string protocol) : socket_(std::move(socket)) {
    protocol_ = std::move(protocol);
  }
  ~WebSocketImpl() override { abort(); }
  Task<Result<std::optional<WebSocketMessage>>> read() override { return read_message(socket_); }
  Task<Status> write(bool binary, std::string data) override {
    return send_frame(socket_, binary ? kBinary : kText, std::move(data));
  }
  Task<Status> ping(std::string data) override {
    data.resize(std::min(data.size(), kMaxControl));
    return send_frame(socket_, kPing, std::move(data));
  }
  Task<void> close(uint16_t code, std::string reason) override {
    return close_socket(socket_, code, std::move(reason));
  }
  void abort() override {
    if (socket_->closed) return;
    socket_->closed = true;
    socket_->stream->close();
  }

 private:
  SocketPtr socket_;
};

std::vector<std::string> split_list(const Headers& headers, std::string_view name) {
  std::vector<std::string> items;
  for (const auto& [key, value] : headers.fields()) {
    if (!iequals(key, name)) continue;
    std::string_view rest = value;
    while (true) {
      size_t comma = rest.find(',');
      std::string_view item = trim(rest.substr(0, comma));
      if (!item.empty()) items.emplace_back(item);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return items;
}

// The client's first choice that we speak; nullopt when there is none.
std::optional<std::string> choose_protocol(const std::vector<std::string>& wanted,
                                           const std::vector<std::string>& ours) {
  if (wanted.empty()) {
    if (ours.empty() || std::find(ours.begin(), ours.end(), "") != ours.end()) return std::string();
    return std::nullopt;
  }
  for (const std::string& protocol : wanted)
    if (std::find(ours.begin(), ours.end(), protocol) != ours.end()) return protocol;
  return std::nullopt;
}

Task<Status> refuse(ResponseWriter* writer, int code, std::string message) {
  Headers headers;
  headers.add("Content-Type", "text/plain; charset=utf-8");
  if (code == 400) headers.add("Sec-WebSocket-Version", "13");
  Body body(message + "\n");
  Status ignored = co_await writer->respond(code, std::move(headers), std::move(body));
  co_return Status::make(code, code == 403 ? "Forbidden" : "BadRequest", message);
}

}  // namespace

bool is_websocket_request(const Request& request) {
  return request.headers.has_token("connection", "upgrade") &&
         request.headers.has_token("upgrade", "websocket");
}

std::unique_ptr<WebSocket> make_websocket(std::unique_ptr<ByteStream> stream, bool server,
                                          std::string protocol, size_t max_message) {
  auto socket = std::make_shared<Socket>();
  socket->stream = std::move(stream);
  socket->server = server;
  socket->max_message = max_message;
  return std::make_unique<WebSocketImpl>(std::move(socket), std::move(protocol));
}

Task<Result<std::unique_ptr<WebSocket>>> accept_websocket(const Request* request,
                                                          ResponseWriter* writer,
                                                          std::vector<std::string> protocols,
                                                          size_t max_message) {
  std::string_view key = request->headers.get("sec-websocket-key");
  std::string problem;
  if (!is_websocket_request(*request) || request->method != "GET")
    problem = "not websocket protocol";
  else if (request->headers.get("sec-websocket-version") != "13")
    problem = "missing or bad WebSocket Version";
  else if (key.empty())
    problem = "mismatch challenge/response";
  if (!problem.empty()) {
    Status refused = co_await refuse(writer, 400, problem);
    co_return refused;
  }
  std::vector<std::string> wanted = split_list(request->headers, "sec-websocket-protocol");
  std::optional<std::string> chosen = choose_protocol(wanted, protocols);
  if (!chosen) {
    std::string message = "requested protocol(s) are not supported";
    Status refused = co_await refuse(writer, 403, message);
    co_return refused;
  }
  Headers headers;
  headers.add("Upgrade", "websocket");
  headers.add("Connection", "Upgrade");
  headers.add("Sec-WebSocket-Accept", accept_key(key));
  if (!chosen->empty()) headers.add("Sec-WebSocket-Protocol", *chosen);
  Result<std::unique_ptr<ByteStream>> stream = co_await writer->upgrade(std::move(headers));
  if (!stream.ok()) {
    if (writer->started()) co_return stream.status();
    std::string why(stream.status().message());
    Status refused = co_await refuse(writer, 400, why);
    co_return refused;
  }
  co_return make_websocket(std::move(*stream), true, std::move(*chosen), max_message);
}

Task<Result<std::unique_ptr<WebSocket>>> connect_websocket(Client* client, ClientRequest request,
                                                           std::vector<std::string> protocols,
                                                           size_t max_message) {
  char random[16];
  RAND_bytes(reinterpret_cast<unsigned char*>(random), sizeof(random));
  std::string key = base64({random, sizeof(random)});
  request.headers.set("Upgrade", "websocket");
  request.headers.set("Connection", "Upgrade");
  request.headers.set("Sec-WebSocket-Version", "13");
  request.headers.set("Sec-WebSocket-Key", key);
  std::string list;
  for (const std::string& protocol : protocols) list += (list.empty() ? "" : ", ") + protocol;
  if (!list.empty()) request.headers.set("Sec-WebSocket-Protocol", list);
  Result<Client::Upgraded> upgraded = co_await client->upgrade(std::move(request));
  if (!upgraded.ok()) co_return upgraded.status();
  if (upgraded->stream == nullptr) {
    std::string message = fmt::format("websocket: bad handshake: {}", upgraded->response.status);
    co_return Status::make(upgraded->response.status, "", message);
  }
  const Headers& headers = upgraded->response.headers;
  if (headers.get("sec-websocket-accept") != accept_key(key))
    co_return Status::error("websocket: bad accept key");
  std::string protocol(headers.get("sec-websocket-protocol"));
  co_return make_websocket(std::move(upgraded->stream), false, std::move(protocol), max_message);
}

}  // namespace knarr::net
