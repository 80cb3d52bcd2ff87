// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include "net/test_certs.h"
#include "net/test_handler.h"

namespace knarr::net {
namespace {

class Tls : public TestBed {
 public:
  TestCa ca, clients_ca{"clients"}, other_ca{"other"};
  TestFolder folder;
  Seen seen;
  std::string start() {
    TestCert cert = ca.issue("server", "DNS:localhost,IP:127.0.0.1");
    ServerOptions options;
    options.tls =
        *make_tls_server_context({folder.write("c", cert.cert_pem), folder.write("k", cert.key_pem),
                                  folder.write("ca", clients_ca.pem())});
    return serve(Handling{&seen}, std::move(options));
  }
  std::shared_ptr<TlsClientContext> trust(const std::string& pem, const TestCert& cert = {}) {
    TlsClientOptions options;
    options.ca_pem = pem;
    options.cert_pem = cert.cert_pem;
    options.key_pem = cert.key_pem;
    return *make_tls_client_context(options);
  }
};

Task<void> show_certificates(Tls* test, std::string address) {
  std::shared_ptr<Client> client1 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client1, 200);
  EXPECT_TRUE(test->seen.peer->tls);
  EXPECT_TRUE(test->seen.peer->certificates.empty());
  EXPECT_FALSE(test->seen.peer->certificate_verified);
  TestCert good = test->clients_ca.issue("alice", "", "system:masters");
  std::shared_ptr<Client> client2 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem(), good));
  co_await expect_status(client2, 200);
  EXPECT_EQ(test->seen.peer->certificates.size(), 1u);
  EXPECT_TRUE(test->seen.peer->certificate_verified);
  EXPECT_EQ(test->seen.peer->address, "127.0.0.1");
  TestCert bad = test->other_ca.issue("mallory", "");
  std::shared_ptr<Client> client3 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem(), bad));
  co_await expect_status(client3, 200);
  EXPECT_EQ(test->seen.peer->certificates.size(), 1u);
  EXPECT_FALSE(test->seen.peer->certificate_verified);
}

TEST_F(Tls, ClientCertificatesAreReportedNotRequired) { run(show_certificates(this, start())); }

Task<void> distrust(Tls* test, std::string address) {
  ClientRequest request;
  std::shared_ptr<Client> client =
      test->client(address, HttpVersion::kAuto, test->trust(test->other_ca.pem()));
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_FALSE(response.ok());
  EXPECT_EQ(response.status().message(),
            "tls: failed to verify certificate: x509: certificate signed by unknown authority");
  // The right CA, the wrong name.
  TlsClientOptions options;
  options.ca_pem = test->ca.pem();
  options.server_name = "elsewhere";
  client = test->client(address, HttpVersion::kAuto, *make_tls_client_context(options));
  ClientRequest again;
  response = co_await client->send(std::move(again));
  EXPECT_FALSE(response.ok());
  EXPECT_NE(response.status().message().find("is not valid for elsewhere"), std::string::npos);
  options.insecure_skip_verify = true;
  std::shared_ptr<Client> client4 =
      test->client(address, HttpVersion::kAuto, *make_tls_client_context(options));
  co_await expect_status(client4, 200);
}

TEST_F(Tls, VerifiesTheServer) { run(distrust(this, start())); }

Task<void> renew(Tls* test, std::string address, std::string cert_file, std::string key_file) {
  std::shared_ptr<Client> client5 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client5, 200);
  TestCert fresh = test->other_ca.issue("server", "IP:127.0.0.1");
  std::ofstream(cert_file, std::ios::trunc) << fresh.cert_pem;
  // Half a pair: the old one goes on.
  Duration pause = std::chrono::milliseconds(1100);
  co_await sleep_for(pause);
  std::shared_ptr<Client> client6 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client6, 200);
  std::ofstream(key_file, std::ios::trunc) << fresh.key_pem;
  co_await sleep_for(pause);
  std::shared_ptr<Client> client7 =
      test->client(address, HttpVersion::kAuto, test->trust(test->other_ca.pem()));
  co_await expect_status(client7, 200);
}

TEST_F(Tls, RenewedFilesAreUsed) {
  std::string address = start();
  run(renew(this, address, folder.at("c"), folder.at("k")));
}

std::vector<std::string> nonsense() {
  return {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02", std::string(20, '\0'), "\x15\x03\x01"};
}

Task<void> talk_nonsense(Tls* test, std::string address) {
  std::vector<std::string> texts = nonsense();
  for (const std::string& text : texts) {
    Duration limit = std::chrono::seconds(5);
    Result<std::unique_ptr<ByteStream>> stream = co_await dial(address, nullptr, limit);
    EXPECT_TRUE(stream.ok());
    std::string_view view = text;
    Status written = co_await (*stream)->write(view);
    (*stream)->shutdown_write();
    char buffer[1000];
    Result<size_t> count = co_await (*stream)->read(buffer, sizeof(buffer));
    while (count.ok() && *count > 0) count = co_await (*stream)->read(buffer, sizeof(buffer));
  }
  std::shared_ptr<Client> client8 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client8, 200);
}

TEST_F(Tls, SurvivesNonsense) { run(talk_nonsense(this, start())); }

Task<void> forget_tls(TestBed* bed, std::string address) {
  ClientRequest request;
  std::shared_ptr<Client> client = bed->client(address, HttpVersion::kHttp1);
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok() && response->status == 400);
  std::string text = co_await text_of(*response);
  EXPECT_EQ(text, "Client sent an HTTP request to an HTTPS server.\n");
}

TEST_F(Tls, TellsPlainHttpWhatIsWrong) { run(forget_tls(this, start())); }

}  // namespace
}  // namespace knarr::net
