// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/etcd_admin.h"

#include <boost/asio/io_context.hpp>

#include <charconv>
#include <optional>

#include "kubeadm/text.h"
#include "net/client.h"
#include "net/grpc.h"
#include "net/tls.h"
#include "schema/proto_reader.h"

namespace knarr::kubeadm {
namespace {

constexpr Duration kCallLimit = std::chrono::seconds(10), kPause = std::chrono::milliseconds(500), kPodLimit = std::chrono::seconds(30);

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

// Takes one field; strings of interest go to `text`, numbers to `number`. False when malformed.
bool take_field(schema::ProtoReader& reader, uint32_t& field, std::string_view& text, uint64_t& number) {
  schema::WireType wire;
  if (!reader.tag(field, wire)) return false;
  text = {};
  number = 0;
  switch (wire) {
    case schema::WireType::kVarint: return reader.varint(number);
    case schema::WireType::kBytes: return reader.bytes(text);
    case schema::WireType::kFixed64: return reader.fixed(number);
    case schema::WireType::kFixed32: {
      uint32_t small;
      return reader.fixed(small);
    }
    default: return false;
  }
}

bool read_member(std::string_view message, EtcdMember& member) {
  schema::ProtoReader reader(message);
  while (!reader.done()) {
    uint32_t field;
    std::string_view text;
    uint64_t number;
    if (!take_field(reader, field, text, number)) return false;
    if (field == 1) member.id = number;
    if (field == 2) member.name = text;
    if (field == 3) member.peer_urls.emplace_back(text);
    if (field == 4) member.client_urls.emplace_back(text);
  }
  return true;
}

Task<void> exchange(net::GrpcChannel* channel, std::string method, std::string message, std::optional<Result<std::string>>* answer) {
  Duration limit = kCallLimit;
  Result<std::string> response = co_await channel->call(std::move(method), std::move(message), limit);
  answer->emplace(std::move(response));
}

// One member, on a loop of its own that runs while a call waits.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> make(const std::string& url, const std::string& certificates_dir) {
    auto made = std::make_unique<Connection>();
    net::TlsClientOptions tls;
    tls.ca_file = certificates_dir + "/etcd/ca.crt";
    tls.cert_file = certificates_dir + "/etcd/healthcheck-client.crt";
    tls.key_file = certificates_dir + "/etcd/healthcheck-client.key";
    net::ClientOptions options;
    options.address = url.substr(url.find("://") == std::string::npos ? 0 : url.find("://") + 3);
    options.connect_timeout = std::chrono::seconds(5);
    TRY_ASSIGN(options.tls, net::make_tls_client_context(std::move(tls)));
    made->channel_ = net::make_grpc_channel(net::make_client(made->loop_.get_executor(), std::move(options)));
    return made;
  }
  ~Connection() {
    channel_.reset();
    loop_.restart();
    loop_.poll();
  }
  Result<std::string> call(const std::string& method, const std::string& message) {
    std::optional<Result<std::string>> answer;
    spawn(loop_.get_executor(), exchange(channel_.get(), "/etcdserverpb.Cluster/" + method, message, &answer));
    loop_.restart();
    while (!answer && loop_.run_one() > 0) {
    }
    if (!answer) return Status::make(503, "ServiceUnavailable", "the connection to etcd was lost");
    return std::move(*answer);
  }

 private:
  boost::asio::io_context loop_{1};
  std::unique_ptr<net::GrpcChannel> channel_;
};

class RemoteEtcd final : public EtcdAdmin {
 public:
  RemoteEtcd(std::vector<std::string> urls, std::string dir) : urls_(std::move(urls)), dir_(std::move(dir)) {}

  Result<std::vector<EtcdMember>> list() override {
    TRY_ASSIGN(std::string answer, call("MemberList", ""));
    return decode_members(answer, 2);
  }
  Result<std::vector<EtcdMember>> add(const std::string& peer_url) override {
    auto answer = call("MemberAdd", encode_member_add(peer_url));
    if (answer.ok()) return decode_members(*answer, 3);
    // It was added by an attempt before this one.
    if (answer.status().message().find("Peer URLs already exists") != std::string_view::npos) return list();
    return answer.status();
  }
  Status remove(uint64_t id) override { return call("MemberRemove", encode_member_remove(id)).status(); }

 private:
  // A member that does not answer is passed over; one that refuses has answered.
  Result<std::string> call(const std::string& method, const std::string& message) {
    Status last = Status::error("no etcd endpoints");
    for (const std::string& url : urls_) {
      TRY_ASSIGN(std::unique_ptr<Connection> connection, Connection::make(url, dir_));
      auto answer = connection->call(method, message);
      if (answer.ok()) return answer;
      last = answer.status();
      if (last.code() != 503 && last.code() != 504) return last;
    }
    return last;
  }
  std::vector<std::string> urls_;
  std::string dir_;
};

}  // namespace

std::string encode_member_add(std::string_view peer_url) {
  std::string message = "\x0a";
  put_varint(message, peer_url.size());
  return message + std::string(peer_url);
}

std::string encode_member_remove(uint64_t id) {
  std::string message = "\x08";
  put_varint(message, id);
  return message;
}

Result<std::vector<EtcdMember>> decode_members(std::string_view message, uint32_t list_field) {
  std::vector<EtcdMember> members;
  schema::ProtoReader reader(message);
  while (!reader.done()) {
    uint32_t field;
    std::string_view text;
    uint64_t number;
    if (!take_field(reader, field, text, number)) return Status::error("malformed answer of etcd");
    if (field != list_field) continue;
    if (!read_member(text, members.emplace_back())) return Status::error("malformed member in an answer of etcd");
  }
  return members;
}

std::vector<std::pair<std::string, std::string>> initial_cluster(const std::vector<EtcdMember>& members, const std::string& name, const std::string& peer_url) {
  std::vector<std::pair<std::string, std::string>> cluster;
  for (const EtcdMember& member : members) {
    if (member.peer_urls.empty()) continue;
    std::string shown = member.name;
    if (member.peer_urls[0] == peer_url) {
      shown = name;
    } else if (shown.empty()) {
      char hex[20];
      auto end = std::to_chars(hex, hex + sizeof hex, member.id, 16).ptr;
      shown.assign(hex, end);
    }
    cluster.emplace_back(shown, member.peer_urls[0]);
  }
  return cluster;
}

Result<std::unique_ptr<EtcdAdmin>> connect_etcd(const std::vector<std::string>& client_urls, const std::string& certificates_dir) {
  if (client_urls.empty()) return Status::error("could not retrieve the list of etcd endpoints");
  return std::unique_ptr<EtcdAdmin>(std::make_unique<RemoteEtcd>(client_urls, certificates_dir));
}

Result<std::vector<std::string>> etcd_endpoints(Host& host, Api& api) {
  std::vector<std::string> urls;
  // The pods' mirrors may be a moment late.
  Status found = retry(host, kPause, kPodLimit, [&]() -> Status {
    auto pods = api.get("/api/v1/namespaces/kube-system/pods?labelSelector=component%3Detcd%2Ctier%3Dcontrol-plane");
    if (!pods.ok()) return pods.status();
    urls.clear();
    for (const json::Value& pod : pods->at({"items"}).items()) {
      const std::string& url = pod.at({"metadata", "annotations", "kubeadm.kubernetes.io/etcd.advertise-client-urls"}).as_string();
      if (!url.empty()) urls.push_back(url);
    }
    return urls.empty() ? Status::error("could not retrieve the list of etcd endpoints") : Status();
  });
  if (!found.ok()) return found;
  return urls;
}

}  // namespace knarr::kubeadm
