// SPDX-License-Identifier: Apache-2.0
// Asks other servers, as CoreDNS' forward plugin: each try from a new random port with a random id, 2 s a try, 5 s in all, the servers in random order,
// those that failed lately last. TCP when the client came over TCP. One executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "dns/message.h"
#include "net/stream.h"

namespace knarr::dns {

struct ForwarderOptions {
  std::vector<std::string> upstreams;  // "10.0.0.1:53", "[fd00::1]:53"
  size_t max_concurrent = 0;           // 0: no limit
  Name from;                           // only names within
  std::vector<Name> except;            // but not within these
};

class Forwarder {
 public:
  Forwarder(Executor executor, const Clock& clock, ForwarderOptions options);

  // The answer, with the query's id. REFUSED when too many questions are under way, SERVFAIL when nobody answers.
  Task<Message> ask(Message query, bool tcp);
  bool takes(const Name& name) const;
  bool has_upstreams() const { return !upstreams_.empty(); }
  uint64_t rejected() const { return rejected_; }
  uint64_t asked() const { return asked_; }
  uint64_t failed() const { return failed_; }

 private:
  struct Upstream {
    std::string address;
    int failures = 0;
  };
  std::vector<Upstream*> order();

  Executor executor_;
  const Clock& clock_;
  size_t max_concurrent_, running_ = 0;
  Name from_;
  std::vector<Name> except_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  uint64_t rejected_ = 0, asked_ = 0, failed_ = 0;
};

// The name servers of a resolv.conf, with port 53.
std::vector<std::string> upstreams_of_resolv_conf(std::string_view text);

// A message behind its two-byte length, as TCP carries it; "" at the end of the stream.
Task<Result<std::string>> read_tcp_message(net::ByteStream* stream, std::string* buffer);

}  // namespace knarr::dns
