// SPDX-License-Identifier: Apache-2.0
// One event loop with a server and whatever talks to it. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "net/client.h"
#include "net/server.h"

namespace knarr::net {

class TestBed : public ::testing::Test {
 public:
  Executor executor() { return context_.get_executor(); }

  // Runs `task` to its end, then shuts the server down and lets everything else finish.
  void run(Task<void> task) {
    spawn(executor(), finish_with(this, std::move(task)));
    context_.run_for(std::chrono::seconds(20));
    EXPECT_TRUE(done_) << "timed out";
  }

  // "127.0.0.1:port" of a new server.
  std::string serve(Handler handler, ServerOptions options = {}) {
    server_ = make_server({executor()}, std::move(options), std::move(handler));
    Result<uint16_t> port = server_->listen("127.0.0.1:0");
    EXPECT_TRUE(port.ok()) << port.status().message();
    return fmt::format("127.0.0.1:{}", *port);
  }

  std::shared_ptr<Client> client(const std::string& address,
                                 HttpVersion version = HttpVersion::kAuto,
                                 std::shared_ptr<TlsClientContext> tls = nullptr) {
    ClientOptions options;
    options.address = address;
    options.version = version;
    options.tls = std::move(tls);
    std::shared_ptr<Client> made = make_client(executor(), std::move(options));
    clients_.push_back(made);
    return made;
  }

  Server& server() { return *server_; }

 private:
  static Task<void> finish_with(TestBed* bed, Task<void> task) {
    co_await std::move(task);
    for (auto& client : bed->clients_) client->close();
    Duration grace = std::chrono::seconds(1);
    if (bed->server_) co_await bed->server_->shutdown(grace);
    bed->done_ = true;
  }

  boost::asio::io_context context_;
  std::unique_ptr<Server> server_;
  std::vector<std::shared_ptr<Client>> clients_;
  bool done_ = false;
};

}  // namespace knarr::net
