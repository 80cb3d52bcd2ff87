// SPDX-License-Identifier: Apache-2.0
// The members of an etcd cluster as one peer: calls go to one of them until it fails, then to the next.
//
// All calls and streams share one HTTP/2 connection to that member, so many are under way at once. When a member cannot be reached, has lost its
// leader or does not answer, its connection is dropped (which ends the watches on it too) and the next member's turn comes, at once for the
// first round and then after pauses that grow from 50 ms to 2 s. One executor.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "net/grpc.h"
#include "schema/codec.h"

namespace knarr::etcd {

struct MembersOptions {
  std::vector<std::string> servers;  // "https://host:2379", "http://...", "unix:///path", or "host:port" (plain text)
  std::string ca_file, cert_file, key_file;
  Duration call_timeout = std::chrono::seconds(30);     // of a call with all its repetitions
  Duration attempt_timeout = std::chrono::seconds(10);  // of one attempt; etcd itself gives up after 7 s
};

// Whether a call that may have been carried out already may be sent again.
enum class Repeat : bool { kNo, kYes };

class Members {
 public:
  // 400 for addresses that are none, or TLS files that cannot be read.
  static Result<std::shared_ptr<Members>> make(Executor executor, MembersOptions options);

  struct Answer {
    std::string message;
    bool repeated = false;  // an attempt before this one may have been carried out
  };
  // One unary call. The failure is gRPC's; errors.h translates.
  Task<Result<Answer>> call(std::string method, std::string message, Repeat repeat);
  // A stream to the present member. Tell failed() when it breaks.
  Task<Result<std::unique_ptr<net::GrpcChannel::Stream>>> stream(std::string method, std::string first_message);
  uint64_t turn() const { return turn_; }
  // The member of that turn was no good. Nothing happens when another one's turn has come meanwhile.
  void failed(uint64_t turn);
  // Waits out the pause due before trying again after `failures` in a row. Ends at once when closing.
  Task<void> pause(int failures);

  // Every call under way and to come fails with Unavailable.
  void close();
  bool closed() const { return closed_; }
  size_t size() const { return targets_.size(); }

 private:
  struct Target {
    std::string address;
    std::shared_ptr<net::TlsClientContext> tls;
  };
  Members(Executor executor, MembersOptions options);
  void connect();

  const Executor executor_;
  const MembersOptions options_;
  std::vector<Target> targets_;
  uint64_t turn_ = 0;
  std::shared_ptr<net::Client> client_;
  std::shared_ptr<net::GrpcChannel> channel_;
  Notifier closing_;
  bool closed_ = false;
};

template <class Response>
Task<Result<Response>> call_members(std::shared_ptr<Members> members, std::string method, std::string message, Repeat repeat) {
  auto answer = co_await members->call(std::move(method), std::move(message), repeat);
  if (!answer.ok()) co_return answer.status();
  co_return schema::from_proto<Response>(answer->message);
}

}  // namespace knarr::etcd
