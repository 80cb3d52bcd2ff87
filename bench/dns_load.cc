// SPDX-License-Identifier: Apache-2.0
// dns_load ADDRESS:PORT SECONDS WINDOW NAME...: asks for A records over UDP from one thread, WINDOW questions under way at once, and prints how many
// were answered a second and how long they took. A question that has no answer after a second is asked anew and counted as lost.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "dns/message.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLost = std::chrono::seconds(1);
constexpr size_t kBatch = 32, kMaxAnswer = 4096;

struct Slot {
  Clock::time_point asked;
  bool waiting = false;
};

struct Load {
  int fd;
  std::vector<std::string> queries;
  std::vector<Slot> slots;  // by id
  std::vector<double> micros;
  size_t next_query = 0;
  uint64_t answered = 0, failed = 0, lost = 0;

  // One sendmmsg for up to a batch of free slots.
  void ask(const std::vector<uint16_t>& ids) {
    for (size_t from = 0; from < ids.size(); from += kBatch) {
      std::vector<std::string> wires;
      for (size_t i = from; i < std::min(ids.size(), from + kBatch); ++i) {
        std::string wire = queries[next_query++ % queries.size()];
        wire[0] = static_cast<char>(ids[i] >> 8);
        wire[1] = static_cast<char>(ids[i] & 0xff);
        wires.push_back(std::move(wire));
        slots[ids[i]] = {Clock::now(), true};
      }
      std::vector<iovec> vectors(wires.size());
      std::vector<mmsghdr> messages(wires.size());
      for (size_t i = 0; i < wires.size(); ++i) {
        vectors[i] = {wires[i].data(), wires[i].size()};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      if (::sendmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()), 0) < 0) std::perror("sendmmsg");
    }
  }

  std::vector<uint16_t> take_answers() {
    static std::vector<char> buffer(kBatch * kMaxAnswer);
    std::vector<iovec> vectors(kBatch);
    std::vector<mmsghdr> messages(kBatch);
    for (size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {buffer.data() + i * kMaxAnswer, kMaxAnswer};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    std::vector<uint16_t> ids;
    int count = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(vectors[static_cast<size_t>(i)].iov_base);
      auto id = static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
      if (messages[static_cast<size_t>(i)].msg_len < 12 || id >= slots.size() || !slots[id].waiting) continue;
      slots[id].waiting = false;
      ++answered;
      if ((bytes[3] & 0xf) != 0 || (bytes[6] == 0 && bytes[7] == 0)) ++failed;
      if (answered % 16 == 0) micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - slots[id].asked).count());
      ids.push_back(id);
    }
    return ids;
  }

  std::vector<uint16_t> take_lost() {
    std::vector<uint16_t> ids;
    auto now = Clock::now();
    for (size_t id = 0; id < slots.size(); ++id) {
      if (!slots[id].waiting || now - slots[id].asked < kLost) continue;
      ++lost;
      ids.push_back(static_cast<uint16_t>(id));
    }
    return ids;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: dns_load ADDRESS:PORT SECONDS WINDOW NAME...\n");
    return 2;
  }
  std::string address = argv[1];
  size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr);
  Load load{::socket(AF_INET, SOCK_DGRAM, 0), {}, std::vector<Slot>(static_cast<size_t>(std::atoi(argv[3]))), {}};
  if (::connect(load.fd, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) return std::perror("connect"), 1;
  for (int i = 4; i < argc; ++i) {
    knarr::dns::Message query;
    query.recursion_desired = true;
    query.questions.push_back({knarr::dns::Name::of(argv[i]), knarr::dns::kA, knarr::dns::kInternet});
    knarr::dns::encode_message(query, 512, &load.queries.emplace_back());
  }
  std::vector<uint16_t> all(load.slots.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  auto start = Clock::now(), end = start + std::chrono::seconds(std::atoi(argv[2]));
  load.ask(all);
  while (Clock::now() < end) {
    pollfd waiting{load.fd, POLLIN, 0};
    load.ask(::poll(&waiting, 1, 100) > 0 ? load.take_answers() : load.take_lost());
  }
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::sort(load.micros.begin(), load.micros.end());
  auto quantile = [&](double q) { return load.micros.empty() ? 0 : load.micros[static_cast<size_t>(q * static_cast<double>(load.micros.size() - 1))]; };
  std::printf("%.0f answers/s, %.0f us median, %.0f us 99th, %llu failed, %llu lost\n", static_cast<double>(load.answered) / seconds, quantile(0.5),
              quantile(0.99), static_cast<unsigned long long>(load.failed), static_cast<unsigned long long>(load.lost));
  return 0;
}
