// SPDX-License-Identifier: Apache-2.0
// grpc_call ADDRESS METHOD [HEX]: one unary call, the answer in hexadecimal. For trying servers by
// hand:
//   grpc_call unix:/run/containerd/containerd.sock /runtime.v1.RuntimeService/Version
// With "stream" as fourth argument, prints every message of a server stream.
#include <boost/asio/io_context.hpp>
#include <cstdio>

#include "net/grpc.h"
#include "net/text.h"

namespace knarr::net {
namespace {

void print(const std::string& message) {
  for (char c : message) std::printf("%02x", static_cast<unsigned char>(c));
  std::string text = message;
  for (char& c : text)
    if (c < 0x20 || c > 0x7e) c = '.';
  std::printf("\n%s\n", text.c_str());
}

Task<void> run(std::shared_ptr<Client> client, std::string method, std::string message,
               bool streaming, int* outcome) {
  std::unique_ptr<GrpcChannel> channel = make_grpc_channel(client);
  Status status;
  if (!streaming) {
    Duration limit = std::chrono::seconds(10);
    Result<std::string> answer = co_await channel->call(method, message, limit);
    status = answer.status();
    if (answer.ok()) print(*answer);
  } else {
    Result<std::unique_ptr<GrpcChannel::Stream>> stream = co_await channel->stream(method, message);
    status = stream.status();
    while (status.ok()) {
      Result<std::optional<std::string>> next = co_await (*stream)->next();
      status = next.status();
      if (!next.ok() || !*next) break;
      print(**next);
    }
  }
  *outcome = status.ok() ? 0 : 1;
  if (!status.ok())
    std::fprintf(stderr, "%s: %s\n", std::string(status.reason()).c_str(),
                 std::string(status.message()).c_str());
  client->close();
}

int call(int argc, char** argv) {
  if (argc < 3) return 2;
  boost::asio::io_context context(1);
  ClientOptions options;
  options.address = argv[1];
  options.version = HttpVersion::kHttp2;
  std::string hex = argc > 3 ? argv[3] : "", message;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    message.push_back(static_cast<char>(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1])));
  int outcome = 1;
  std::shared_ptr<Client> client = make_client(context.get_executor(), std::move(options));
  spawn(context.get_executor(),
        run(std::move(client), argv[2], std::move(message), argc > 4, &outcome));
  context.run();
  return outcome;
}

}  // namespace
}  // namespace knarr::net

int main(int argc, char** argv) { return knarr::net::call(argc, argv); }
