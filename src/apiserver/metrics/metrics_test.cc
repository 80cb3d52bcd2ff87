// SPDX-License-Identifier: Apache-2.0
#include "apiserver/metrics/metrics.h"

#include <gtest/gtest.h>

namespace knarr::apiserver::metrics {
namespace {

TEST(RequestMetrics, WritesCumulativeHistograms) {
  RequestMetrics requests;
  RequestMetrics::Key key;
  key.resource = schema::find_resource("", "v1", "pods");
  key.verb = Verb::kList;
  key.scope = Scope::kNamespace;
  requests.record(key, 200, std::chrono::milliseconds(1));
  requests.record(key, 200, std::chrono::milliseconds(30));
  requests.record(key, 410, std::chrono::seconds(100));
  std::string text;
  requests.write(text);
  const std::string labels =
      R"(component="apiserver",dry_run="",group="",resource="pods",scope="namespace",subresource="",verb="LIST",version="v1")";
  auto has = [&](const std::string& line) { return text.find(line + "\n") != std::string::npos; };
  EXPECT_TRUE(has("apiserver_request_total{code=\"200\"," + labels + "} 2")) << text;
  EXPECT_TRUE(has("apiserver_request_total{code=\"410\"," + labels + "} 1"));
  EXPECT_TRUE(has("apiserver_request_duration_seconds_bucket{" + labels + ",le=\"0.005\"} 1"));
  EXPECT_TRUE(has("apiserver_request_duration_seconds_bucket{" + labels + ",le=\"0.05\"} 2"));
  EXPECT_TRUE(has("apiserver_request_duration_seconds_bucket{" + labels + ",le=\"60\"} 2"));
  EXPECT_TRUE(has("apiserver_request_duration_seconds_bucket{" + labels + ",le=\"+Inf\"} 3"));
  EXPECT_TRUE(has("apiserver_request_duration_seconds_count{" + labels + "} 3"));
  EXPECT_TRUE(has("# TYPE apiserver_request_duration_seconds histogram"));
}

TEST(RequestMetrics, CountsWhatIsInFlight) {
  RequestMetrics requests;
  requests.begin(false, true);
  requests.begin(false, false);
  requests.begin(true, false);
  requests.end(false, false);
  std::string text;
  requests.write(text);
  EXPECT_NE(text.find("apiserver_current_inflight_requests{request_kind=\"mutating\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("apiserver_current_inflight_requests{request_kind=\"readOnly\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("apiserver_longrunning_requests{component=\"apiserver\"} 1\n"), std::string::npos);
}

TEST(Text, EscapesLabels) { EXPECT_EQ(label("a", "b\"\\\nc"), "a=\"b\\\"\\\\\\nc\""); }

TEST(Text, SaysWhatTheProcessUses) {
  std::string text;
  write_process_metrics(text);
  for (const char* name : {"process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"}) {
    size_t at = text.find("\n" + std::string(name) + " ");
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(std::strtod(text.c_str() + at + std::string(name).size() + 2, nullptr), 0) << name;
  }
}

}  // namespace
}  // namespace knarr::apiserver::metrics
