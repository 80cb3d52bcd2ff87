// SPDX-License-Identifier: Apache-2.0
#include "dns/forwarder.h"

#include <arpa/inet.h>

#include <algorithm>
#include <random>

#include "net/client.h"
#include "net/event.h"
#include "net/udp.h"

namespace knarr::dns {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAllTries = 5s, kOneTry = 2s;
constexpr int kMaxFailures = 2;
constexpr size_t kMaxTcpMessage = 65535;

std::random_device& entropy() {
  static thread_local std::random_device device;
  return device;
}

bool answers(const Message& answer, const Message& query) {
  return answer.response && answer.id == query.id && answer.questions == query.questions;
}

std::string tcp_frame(const Message& message) {
  std::string frame(2, '\0');
  encode_message(message, kMaxTcpMessage, &frame);
  size_t size = frame.size() - 2;
  frame[0] = static_cast<char>(size >> 8);
  frame[1] = static_cast<char>(size & 0xff);
  return frame;
}

Task<Result<Message>> ask_udp(Executor executor, std::string upstream, const Message* query) {
  auto client = net::make_udp_client(executor, upstream);
  if (!client.ok()) co_return client.status();
  std::string wire;
  encode_message(*query, kMaxTcpMessage, &wire);
  CO_TRY((*client)->send(wire));
  net::Alarm alarm(executor);
  alarm.arm(kOneTry, [udp = client->get()] { udp->close(); });
  // What does not belong to the question is somebody guessing.
  for (;;) {
    auto received = co_await (*client)->receive();
    if (!received.ok()) co_return received.status().with_context(upstream);
    auto answer = parse_message(*received);
    if (answer.ok() && answers(*answer, *query)) co_return std::move(*answer);
  }
}

Task<Result<Message>> ask_tcp(Executor executor, std::string upstream, const Message* query) {
  auto stream = co_await net::dial(upstream, nullptr, kOneTry);
  if (!stream.ok()) co_return stream.status();
  net::Alarm alarm(executor);
  alarm.arm(kOneTry, [tcp = stream->get()] { tcp->close(); });
  std::string frame = tcp_frame(*query), buffer;
  std::string_view bytes = frame;
  Status sent = co_await (*stream)->write(bytes);
  CO_TRY(sent);
  auto received = co_await read_tcp_message(stream->get(), &buffer);
  if (!received.ok()) co_return received.status();
  auto answer = parse_message(*received);
  if (!answer.ok()) co_return answer.status();
  if (!answers(*answer, *query)) co_return Status::error(upstream + ": not the answer to the question");
  co_return std::move(*answer);
}

}  // namespace

Task<Result<std::string>> read_tcp_message(net::ByteStream* stream, std::string* buffer) {
  for (;;) {
    if (buffer->size() >= 2) {
      size_t size = static_cast<size_t>(static_cast<uint8_t>((*buffer)[0])) << 8 | static_cast<uint8_t>((*buffer)[1]);
      if (buffer->size() - 2 >= size) {
        std::string message = buffer->substr(2, size);
        buffer->erase(0, 2 + size);
        co_return message;
      }
    }
    char chunk[4096];
    auto count = co_await stream->read(chunk, sizeof chunk);
    if (!count.ok()) co_return count.status();
    if (*count == 0) co_return std::string();
    buffer->append(chunk, *count);
  }
}

Forwarder::Forwarder(Executor executor, const Clock& clock, ForwarderOptions options)
    : executor_(std::move(executor)), clock_(clock), max_concurrent_(options.max_concurrent), from_(std::move(options.from)),
      except_(std::move(options.except)) {
  for (std::string& address : options.upstreams) upstreams_.push_back(std::make_unique<Upstream>(Upstream{std::move(address), 0}));
}

bool Forwarder::takes(const Name& name) const {
  return name.is_within(from_) && std::none_of(except_.begin(), except_.end(), [&](const Name& zone) { return name.is_within(zone); });
}

std::vector<Forwarder::Upstream*> Forwarder::order() {
  std::vector<Upstream*> order;
  for (const auto& upstream : upstreams_) order.push_back(upstream.get());
  std::shuffle(order.begin(), order.end(), entropy());
  std::stable_partition(order.begin(), order.end(), [](const Upstream* upstream) { return upstream->failures < kMaxFailures; });
  return order;
}

Task<Message> Forwarder::ask(Message query, bool tcp) {
  if (max_concurrent_ != 0 && running_ >= max_concurrent_) {
    ++rejected_;
    co_return reply_to(query, kRefused);
  }
  ++running_;
  ++asked_;
  Message sent = query;
  MonoTime deadline = clock_.mono() + kAllTries;
  std::vector<Upstream*> servers = order();
  std::optional<Message> answer;
  for (size_t i = 0; !answer && !servers.empty() && clock_.mono() < deadline; ++i) {
    Upstream* upstream = servers[i % servers.size()];
    sent.id = static_cast<uint16_t>(entropy()());
    MonoTime started = clock_.mono();
    Result<Message> result = Status::error("not asked");
    if (tcp) {
      result = co_await ask_tcp(executor_, upstream->address, &sent);
    } else {
      result = co_await ask_udp(executor_, upstream->address, &sent);
    }
    if (result.ok()) {
      upstream->failures = 0;
      answer = std::move(*result);
      break;
    }
    ++upstream->failures;
    // A server that refuses at once (nothing listens) is not asked in a busy loop.
    bool round_done = (i + 1) % servers.size() == 0;
    if (round_done && clock_.mono() - started < 100ms) co_await sleep_for(100ms);
  }
  --running_;
  if (!answer) {
    ++failed_;
    co_return reply_to(query, kServerFailure);
  }
  answer->id = query.id;
  answer->questions = query.questions;
  co_return std::move(*answer);
}

std::vector<std::string> upstreams_of_resolv_conf(std::string_view text) {
  std::vector<std::string> upstreams;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    constexpr std::string_view kWord = "nameserver";
    constexpr std::string_view kBlank = " \t\r";
    if (!line.starts_with(kWord) || line.size() == kWord.size() || kBlank.find(line[kWord.size()]) == std::string_view::npos) continue;
    line.remove_prefix(line.find_first_not_of(kBlank, kWord.size()) == std::string_view::npos ? line.size()
                                                                                             : line.find_first_not_of(kBlank, kWord.size()));
    std::string address(line.substr(0, line.find_first_of(kBlank)));
    char bytes[sizeof(in6_addr)];
    std::string plain = address.substr(0, address.find('%'));
    if (inet_pton(AF_INET, plain.c_str(), bytes) == 1) {
      upstreams.push_back(address + ":53");
    } else if (inet_pton(AF_INET6, plain.c_str(), bytes) == 1) {
      upstreams.push_back("[" + address + "]:53");
    }
  }
  return upstreams;
}

}  // namespace knarr::dns
