// SPDX-License-Identifier: Apache-2.0
// The behaviour suite of stores on real etcds, and what is particular to a store that others write to as well.
#include "etcd/etcd_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "etcd/compactor.h"
#include "etcd/test_etcd.h"
#include "etcd/wire.h"
#include "net/test_certs.h"
#include "store/store_suite.h"

namespace knarr::etcd {
namespace {

using store::delete_request;
using store::put_request;
using store::run_task;
using store::SharedFakeClock;
using store::Store;
using store::WriteRequest;

// Direct calls to etcd, for what the store does not offer.
template <class Response, class Request>
Task<Result<Response>> ask(std::string url, std::string method, Request request) {
  MembersOptions options;
  options.servers = {url};
  Executor executor = co_await this_executor();
  auto members = Members::make(executor, std::move(options));
  if (!members.ok()) co_return members.status();
  std::string message = schema::to_proto(request);
  auto answer = co_await call_members<Response>(*members, std::move(method), std::move(message), Repeat::kYes);
  (*members)->close();
  co_return answer;
}

std::shared_ptr<Store> open_store(EtcdOptions options) {
  auto opened = run_task(open_etcd_store(std::move(options)));
  EXPECT_TRUE(opened.ok()) << opened.status().message();
  return opened.ok() ? *opened : nullptr;
}

EtcdOptions options_for(const EtcdProcess& etcd) {
  EtcdOptions options;
  options.members.servers = {etcd.url()};
  options.compaction_interval = Duration::zero();
  return options;
}

// etcd keeps its own time, which cannot be moved: leases whose time would have come by the fake clock are revoked instead.
class LeaseTime {
 public:
  void advance(const std::string& url, std::chrono::seconds by) {
    auto leases = run_task(ask<pb::LeaseLeasesResponse>(url, "/etcdserverpb.Lease/LeaseLeases", pb::LeaseLeasesRequest()));
    ASSERT_TRUE(leases.ok()) << leases.status().message();
    for (const pb::LeaseStatus& lease : leases->leases) {
      if (ends_.contains(lease.id)) continue;
      pb::LeaseTimeToLiveRequest request;
      request.id = lease.id;
      auto life = run_task(ask<pb::LeaseTimeToLiveResponse>(url, "/etcdserverpb.Lease/LeaseTimeToLive", request));
      ASSERT_TRUE(life.ok()) << life.status().message();
      ends_[lease.id] = now_ + life->granted_ttl;
    }
    now_ += by.count();
    for (auto& [id, end] : ends_) {
      if (end > now_ || !gone_.insert(id).second) continue;
      pb::LeaseRevokeRequest request;
      request.id = id;
      auto revoked = run_task(ask<pb::LeaseRevokeResponse>(url, "/etcdserverpb.Lease/LeaseRevoke", request));
      ASSERT_TRUE(revoked.ok()) << revoked.status().message();
    }
  }

 private:
  int64_t now_ = 0;
  std::map<int64_t, int64_t> ends_;
  std::set<int64_t> gone_;
};

// kRing: events kept in memory; few of them make watches read etcd's history.
template <std::string (*kProgram)(), size_t kRing>
struct EtcdBackend {
  std::unique_ptr<EtcdProcess> etcd;
  SharedFakeClock clock;
  LeaseTime leases;
  std::shared_ptr<Store> opened;

  EtcdBackend() {
    if (!missing().empty()) return;
    etcd = std::make_unique<EtcdProcess>(kProgram());
    open();
  }
  static std::string missing() { return kProgram().empty() ? "no etcd here (Debian: etcd-server; $KNARR_KIT/bin/etcd for a newer one)" : ""; }
  void open() {
    EtcdOptions options = options_for(*etcd);
    options.clock = &clock;
    options.leases.reuse_seconds = 0;  // the suite counts seconds
    options.ring.events = kRing;
    opened = open_store(std::move(options));
  }
  Store& store() { return *opened; }
  void reopen() {
    opened.reset();
    open();
  }
  void advance(std::chrono::seconds by) {
    clock.advance(by);
    leases.advance(etcd->url(), by);
    // What ended is known here once asked for.
    EXPECT_TRUE(run_task(opened->catch_up()).ok());
  }
};

using Debian = EtcdBackend<etcd_of_path, 8192>;
using DebianSmall = EtcdBackend<etcd_of_path, 3>;
using Newer = EtcdBackend<etcd_of_kit, 8192>;

struct EtcdStoreTest : ::testing::Test {
  std::unique_ptr<EtcdProcess> etcd;
  std::shared_ptr<Store> store;

  void SetUp() override {
    if (etcd_of_path().empty()) GTEST_SKIP() << "no etcd here (Debian: etcd-server)";
    etcd = std::make_unique<EtcdProcess>(etcd_of_path());
    store = open_store(options_for(*etcd));
  }
  store::WriteResult write(WriteRequest request, Store* to) {
    auto result = run_task(to->write(std::move(request)));
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? *result : store::WriteResult();
  }
};

TEST_F(EtcdStoreTest, SeesTheWritesOfOthersAfterCatchingUp) {
  std::shared_ptr<Store> other = open_store(options_for(*etcd));
  auto watch = *store->watch("/", "0", store->revision(), [] {});
  for (int i = 0; i < 50; ++i) {
    auto written = write(put_request("/k", std::to_string(i)), other.get());
    ASSERT_TRUE(run_task(store->catch_up()).ok());
    ASSERT_GE(store->revision(), written.revision);
    auto events = watch->poll(10);
    ASSERT_TRUE(events.ok());
    ASSERT_EQ(events->size(), 1u);
    EXPECT_EQ((*events)[0].value.view(), std::to_string(i));
  }
  auto lost = write(put_request("/k", "mine", 1), store.get());
  EXPECT_FALSE(lost.succeeded);
  EXPECT_EQ(lost.current.value.view(), "49");
}

TEST_F(EtcdStoreTest, EventOfAnOwnWriteCarriesItsOwnBytes) {
  auto watch = *store->watch("/", "0", store->revision(), [] {});
  WriteRequest request = put_request("/k", "value");
  const char* data = request.value.view().data();
  Bytes kept = request.value;
  write(std::move(request), store.get());
  auto events = watch->poll(10);
  ASSERT_TRUE(events.ok() && events->size() == 1);
  EXPECT_EQ((*events)[0].value.view().data(), data);
}

TEST_F(EtcdStoreTest, OnlyItsPrefixIsKeptButEveryRevisionCounts) {
  EtcdOptions options = options_for(*etcd);
  options.prefix = "/registry/";
  std::shared_ptr<Store> narrow = open_store(options);
  auto watch = *narrow->watch("", "", narrow->revision(), [] {});
  write(put_request("/registry/a", "1"), store.get());
  auto last = write(put_request("/other/a", "1"), store.get());
  ASSERT_TRUE(run_task(narrow->catch_up()).ok());
  EXPECT_EQ(narrow->revision(), last.revision);
  auto events = watch->poll(10);
  ASSERT_TRUE(events.ok() && events->size() == 1);
  EXPECT_EQ((*events)[0].key, "/registry/a");
  EXPECT_EQ(watch->progress(), last.revision);
}

// Killed and started again under load: what was acknowledged is there, and watches tell of all of it.
Task<void> write_many(Store* store, std::string prefix, int count, std::map<std::string, int64_t>* acknowledged) {
  for (int i = 0; i < count; ++i) {
    WriteRequest request = put_request(prefix + std::to_string(i), prefix, 0);
    std::string key = request.key;
    auto result = co_await store->write(std::move(request));
    EXPECT_TRUE(result.ok()) << result.status().message();
    if (!result.ok()) continue;
    EXPECT_TRUE(result->succeeded) << key;
    (*acknowledged)[key] = result->revision;
  }
}

TEST_F(EtcdStoreTest, RestartOfEtcdLosesNothingAndWatchesGoOn) {
  auto watch = *store->watch("/", "0", store->revision(), [] {});
  std::map<std::string, int64_t> acknowledged;
  boost::asio::io_context context;
  constexpr int kWriters = 8, kWrites = 200;
  for (int i = 0; i < kWriters; ++i)
    spawn(context.get_executor(), write_many(store.get(), "/w" + std::to_string(i) + "/", kWrites, &acknowledged));
  // etcd ends with the thread that started it: this one.
  std::thread writers([&context] { context.run(); });
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    etcd->kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    etcd->start();
  }
  writers.join();
  ASSERT_TRUE(run_task(store->catch_up()).ok());
  EXPECT_EQ(acknowledged.size(), size_t{kWriters * kWrites});
  std::map<std::string, int64_t> told;
  int64_t last = 0;
  for (;;) {
    auto events = watch->poll(100);
    ASSERT_TRUE(events.ok()) << events.status().message();
    if (events->empty()) break;
    for (const store::Event& event : *events) {
      EXPECT_GT(event.revision, last);
      last = event.revision;
      told[event.key] = event.revision;
    }
  }
  EXPECT_EQ(told, acknowledged);
}

TEST_F(EtcdStoreTest, AMissedCompactionExpiresWatchesAndTheStoreGoesOn) {
  std::shared_ptr<Store> other = open_store(options_for(*etcd));
  auto watch = *store->watch("/", "0", 0, [] {});
  (void)watch->poll(1);
  int64_t last = 0;
  for (int i = 0; i < 20; ++i) last = write(put_request("/k", std::to_string(i)), other.get()).revision;
  ASSERT_TRUE(run_task(other->compact(last)).ok());
  auto late = store->watch("/", "0", 1, [] {});
  Status status = late.status();
  for (int i = 0; late.ok() && status.ok() && i < 2000; ++i) {
    auto events = (*late)->poll(100);
    status = events.status();
    if (events.ok() && events->empty() && (*late)->progress() >= last) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // All of it from memory, or the truth.
  EXPECT_TRUE(status.ok() || status.code() == 410) << status.message();
  EXPECT_TRUE(write(put_request("/k", "more"), store.get()).succeeded);
}

Task<Result<int64_t>> compaction_turn(std::string url, CompactionTurn* turn) {
  MembersOptions options;
  options.servers = {url};
  Executor executor = co_await this_executor();
  auto members = Members::make(executor, std::move(options));
  if (!members.ok()) co_return members.status();
  auto compacted = co_await compact_in_turn(*members, turn);
  (*members)->close();
  co_return compacted;
}

TEST_F(EtcdStoreTest, CompactorsTakeTurns) {
  CompactionTurn ours, theirs;
  int64_t before = write(put_request("/k", "0"), store.get()).revision;
  EXPECT_EQ(*run_task(compaction_turn(etcd->url(), &ours)), 0) << "nothing is compacted at first";
  EXPECT_EQ(ours.revision, before + 1);
  EXPECT_EQ(*run_task(compaction_turn(etcd->url(), &theirs)), 0) << "not their turn";
  write(put_request("/k", "1"), store.get());
  EXPECT_EQ(*run_task(compaction_turn(etcd->url(), &ours)), before + 1);
  EXPECT_EQ(*run_task(compaction_turn(etcd->url(), &theirs)), 0);
  EXPECT_EQ(theirs.time, ours.time);
}

TEST(EtcdLeases, AreSharedAsUpstreamSharesThem) {
  LeaseOptions options;
  EXPECT_EQ(lease_surplus(options, 3600), 60);
  EXPECT_EQ(lease_surplus(options, 15), 0);
  EXPECT_EQ(lease_surplus(options, 100), 5);
  MonoTime now{std::chrono::seconds(1000)};
  HeldLease lease{7, now + std::chrono::seconds(3660), 1};
  EXPECT_TRUE(lease_serves(options, lease, now + std::chrono::seconds(1), 3600));
  EXPECT_TRUE(lease_serves(options, lease, now + std::chrono::seconds(59), 3600));
  EXPECT_FALSE(lease_serves(options, lease, now + std::chrono::seconds(60), 3600)) << "too short";
  EXPECT_FALSE(lease_serves(options, lease, now, 600)) << "much too long";
  lease.keys = 1000;
  EXPECT_FALSE(lease_serves(options, lease, now + std::chrono::seconds(1), 3600)) << "full";
}

TEST(EtcdMembers, RefusesWhatIsNoAddress) {
  boost::asio::io_context context;
  MembersOptions options;
  EXPECT_EQ(Members::make(context.get_executor(), options).status().code(), 400);
  options.servers = {"ftp://127.0.0.1:1"};
  EXPECT_EQ(Members::make(context.get_executor(), options).status().code(), 400);
  options.servers = {"https://"};
  EXPECT_EQ(Members::make(context.get_executor(), options).status().code(), 400);
}

// etcd demands a certificate of its clients.
TEST(EtcdTls, CertificatesOfBothSidesAreChecked) {
  if (etcd_of_path().empty()) GTEST_SKIP() << "no etcd here (Debian: etcd-server)";
  store::TempDir dir;
  net::TestCa ca, stranger("stranger");
  auto file = [&](const std::string& name, const std::string& text) {
    std::string path = dir.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  };
  net::TestCert server = ca.issue("etcd", "DNS:localhost,IP:127.0.0.1"), client = ca.issue("apiserver", "");
  std::string ca_file = file("ca.crt", ca.pem());
  EtcdProcess etcd(etcd_of_path(), "https",
                   {"--cert-file=" + file("server.crt", server.cert_pem), "--key-file=" + file("server.key", server.key_pem),
                    "--trusted-ca-file=" + ca_file, "--client-cert-auth"});
  EtcdOptions options = options_for(etcd);
  options.members.ca_file = ca_file;
  options.members.cert_file = file("client.crt", client.cert_pem);
  options.members.key_file = file("client.key", client.key_pem);
  std::shared_ptr<Store> store = open_store(options);
  ASSERT_NE(store, nullptr);
  auto written = run_task(store->write(put_request("/k", "v")));
  EXPECT_TRUE(written.ok() && written->succeeded);

  options.members.call_timeout = std::chrono::seconds(1);
  EtcdOptions without = options;
  without.members.cert_file = without.members.key_file = "";
  EXPECT_FALSE(run_task(open_etcd_store(without)).ok());
  EtcdOptions elsewhere = options;
  elsewhere.members.ca_file = file("stranger.crt", stranger.pem());
  EXPECT_FALSE(run_task(open_etcd_store(elsewhere)).ok());
  EtcdOptions nowhere = options;
  nowhere.members.ca_file = dir.path() + "/missing";
  EXPECT_FALSE(run_task(open_etcd_store(nowhere)).ok());
}

TEST_F(EtcdStoreTest, GoesToTheNextMemberWhenOneIsGone) {
  EtcdOptions options = options_for(*etcd);
  options.members.servers = {"http://127.0.0.1:" + std::to_string(free_port()), etcd->url()};
  std::shared_ptr<Store> patient = open_store(options);
  ASSERT_NE(patient, nullptr);
  EXPECT_TRUE(write(put_request("/k", "0"), patient.get()).succeeded);
}

}  // namespace
}  // namespace knarr::etcd

namespace knarr::store {
INSTANTIATE_TYPED_TEST_SUITE_P(Etcd, StoreSuite, etcd::Debian);
INSTANTIATE_TYPED_TEST_SUITE_P(EtcdSmall, StoreSuite, etcd::DebianSmall);
INSTANTIATE_TYPED_TEST_SUITE_P(EtcdNewer, StoreSuite, etcd::Newer);
}  // namespace knarr::store
