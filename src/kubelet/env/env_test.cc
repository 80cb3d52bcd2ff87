// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kubelet/env/container_env.h"
#include "kubelet/env/expansion.h"
#include "kubelet/env/field_path.h"
#include "kubelet/env/pod_network_files.h"
#include "kubelet/test_support.h"
#include "schema/codec.h"

namespace knarr::kubelet {
namespace {

namespace core = api::core_v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

template <class T>
T parsed(std::string_view json) {
  Result<T> value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << value.status().message();
  return value.ok() ? std::move(*value) : T();
}

TEST(Expansion, FollowsTheRulesOfReferences) {
  const std::map<std::string, std::string, std::less<>> values = {
      {"VAR_A", "A"}, {"VAR_B", "B"}, {"VAR_C", "C"}, {"VAR_REF", "$(VAR_A)"}, {"VAR_EMPTY", ""}};
  VariableLookup lookup = [&](std::string_view name) -> std::optional<std::string_view> {
    auto at = values.find(name);
    if (at == values.end()) return std::nullopt;
    return at->second;
  };
  const std::pair<const char*, const char*> cases[] = {
      {"$(VAR_A)", "A"},
      {"$(VAR_A)-$(VAR_A)", "A-A"},
      {"___$(VAR_B)___", "___B___"},
      {"$(VAR_A)_$(VAR_B)_$(VAR_C)", "A_B_C"},
      {"$$(VAR_B)_$(VAR_A)", "$(VAR_B)_A"},
      {"f000-$$VAR_A", "f000-$VAR_A"},
      {"foo\\$(VAR_C)bar", "foo\\Cbar"},
      {"$(VAR_A$(VAR_B))", "$(VAR_A$(VAR_B))"},
      {"$(VAR_A$(VAR_B)", "$(VAR_A$(VAR_B)"},
      {"%%$(VAR_REF)--$(VAR_REF)%%", "%%$(VAR_A)--$(VAR_A)%%"},
      {"foo$(VAR_EMPTY)bar", "foobar"},
      {"foo$(VAR_Awhoops!", "foo$(VAR_Awhoops!"},
      {"f00__(VAR_A)__", "f00__(VAR_A)__"},
      {"$?_boo_$!", "$?_boo_$!"},
      {"$VAR_A", "$VAR_A"},
      {"$(VAR_DNE)", "$(VAR_DNE)"},
      {"$$$$$$(BIG_MONEY)", "$$$(BIG_MONEY)"},
      {"$$$$$$(VAR_A)", "$$$(VAR_A)"},
      {"$$$$$$$(GOOD_ODDS)", "$$$$(GOOD_ODDS)"},
      {"$$$$$$$(VAR_A)", "$$$A"},
      {"$VAR_A)", "$VAR_A)"},
      {"${VAR_A}", "${VAR_A}"},
      {"$(VAR_B)_______$(A", "B_______$(A"},
      {"$(VAR_C)_______$(", "C_______$("},
      {"$(VAR_A)foobarzab$", "Afoobarzab$"},
      {"--$($($($($--", "--$($($($($--"},
      {"$($($($($--foo$(", "$($($($($--foo$("},
      {"$(foo$$var)", "$(foo$$var)"},
      {"\n", "\n"},
      {"", ""},
  };
  for (const auto& [input, expected] : cases)
    EXPECT_EQ(expand_variables(input, lookup), expected) << input;
}

TEST(Expansion, IsLinearInUnclosedReferences) {
  std::string text;
  for (int i = 0; i < 500000; ++i) text += "$(";
  EXPECT_EQ(expand_variables(text, [](std::string_view) { return std::nullopt; }), text);
}

TEST(FieldPath, QuotesAsGoDoes) {
  EXPECT_EQ(go_quote("a\"b\\c\n\t\x01\x7f"), R"("a\"b\\c\n\t\x01\x7f")");
  EXPECT_EQ(go_quote("h\xc3\xa9"), "\"h\xc3\xa9\"");
  EXPECT_EQ(go_quote("\xff\xc2\xa0"), R"("\xff\u00a0")");
  EXPECT_EQ(format_map({{"b", "2"}, {"a", "1\n"}}), "a=\"1\\n\"\nb=\"2\"");
}

TEST(FieldPath, ReadsMetadata) {
  core::Pod pod = parsed<core::Pod>(R"({"metadata":{"name":"n","namespace":"s","uid":"u",
    "labels":{"x/a[b]c":"v"},"annotations":{"Spot.io/K":"w"}}})");
  auto read = [&](std::string_view path) {
    Result<std::string> value = metadata_field(pod.metadata, path);
    return value.ok() ? *value : "error: " + std::string(value.status().message());
  };
  EXPECT_EQ(read("metadata.name"), "n");
  EXPECT_EQ(read("metadata.namespace"), "s");
  EXPECT_EQ(read("metadata.uid"), "u");
  EXPECT_EQ(read("metadata.annotations['Spot.io/K']"), "w");
  EXPECT_EQ(read("metadata.labels['absent']"), "");
  EXPECT_EQ(read("metadata.labels"), "x/a[b]c=\"v\"");
  EXPECT_EQ(read("metadata.whoops"), "error: unsupported fieldPath: metadata.whoops");
  EXPECT_EQ(read("metadata.name['k']"),
            "error: fieldPath \"metadata.name['k']\" does not support subscript");
  EXPECT_THAT(
      read("metadata.labels['-bad-']"),
      ::testing::HasSubstr("invalid key subscript in metadata.labels['-bad-']: name part must"));
}

TEST(ResourceField, DividesAndRoundsUp) {
  core::Pod pod = parsed<core::Pod>(R"({"spec":{"containers":[
    {"name":"c","resources":{"limits":{"cpu":"1250m","memory":"64Mi"},"requests":{"cpu":"250m","memory":"32Mi","hugepages-2Mi":"4Mi"}}},
    {"name":"free"}]}})");
  schema::Map<schema::Quantity> node;
  node["cpu"] = schema::Quantity("2");
  node["memory"] = schema::Quantity("4Gi");
  auto read = [&](const char* container, const char* resource, const char* divisor) {
    core::ResourceFieldSelector selector;
    selector.container_name = container;
    selector.resource = resource;
    selector.divisor = schema::Quantity(divisor);
    Result<std::string> value = resource_field_value(selector, pod, nullptr, node);
    return value.ok() ? *value : "error: " + std::string(value.status().message());
  };
  EXPECT_EQ(read("c", "limits.cpu", ""), "2");
  EXPECT_EQ(read("c", "limits.cpu", "1m"), "1250");
  EXPECT_EQ(read("c", "requests.cpu", "1m"), "250");
  EXPECT_EQ(read("c", "limits.memory", "1Mi"), "64");
  EXPECT_EQ(read("c", "requests.memory", "0"), "33554432");
  EXPECT_EQ(read("c", "requests.hugepages-2Mi", "1Mi"), "4");
  EXPECT_EQ(read("free", "limits.cpu", ""), "2");
  EXPECT_EQ(read("free", "limits.memory", ""), "4294967296");
  EXPECT_EQ(read("free", "requests.cpu", ""), "0");
  EXPECT_EQ(read("gone", "limits.cpu", ""), "error: container gone not found");
  EXPECT_EQ(read("c", "limits.gpu", ""), "error: unsupported container resource : limits.gpu");
}

std::shared_ptr<const core::Service> service(std::string_view json) {
  return std::make_shared<const core::Service>(parsed<core::Service>(json));
}

TEST(ServiceEnv, NamesHostsAndPorts) {
  EnvVars env = service_env({
      service(
          R"({"metadata":{"name":"foo-bar"},"spec":{"clusterIP":"1.2.3.4","ports":[{"port":8080,"protocol":"TCP"}]}})"),
      service(
          R"({"metadata":{"name":"q"},"spec":{"clusterIP":"fe80::1","ports":[{"name":"u-d-p","port":8083,"protocol":"UDP"},
                                                                                 {"name":"t","port":8084}]}})"),
      service(
          R"({"metadata":{"name":"headless"},"spec":{"clusterIP":"None","ports":[{"port":1}]}})"),
  });
  EnvVars expected = {
      {"FOO_BAR_SERVICE_HOST", "1.2.3.4"},
      {"FOO_BAR_SERVICE_PORT", "8080"},
      {"FOO_BAR_PORT", "tcp://1.2.3.4:8080"},
      {"FOO_BAR_PORT_8080_TCP", "tcp://1.2.3.4:8080"},
      {"FOO_BAR_PORT_8080_TCP_PROTO", "tcp"},
      {"FOO_BAR_PORT_8080_TCP_PORT", "8080"},
      {"FOO_BAR_PORT_8080_TCP_ADDR", "1.2.3.4"},
      {"Q_SERVICE_HOST", "fe80::1"},
      {"Q_SERVICE_PORT", "8083"},
      {"Q_SERVICE_PORT_U_D_P", "8083"},
      {"Q_SERVICE_PORT_T", "8084"},
      {"Q_PORT", "udp://[fe80::1]:8083"},
      {"Q_PORT_8083_UDP", "udp://[fe80::1]:8083"},
      {"Q_PORT_8083_UDP_PROTO", "udp"},
      {"Q_PORT_8083_UDP_PORT", "8083"},
      {"Q_PORT_8083_UDP_ADDR", "fe80::1"},
      {"Q_PORT_8084_TCP", "tcp://[fe80::1]:8084"},
      {"Q_PORT_8084_TCP_PROTO", "tcp"},
      {"Q_PORT_8084_TCP_PORT", "8084"},
      {"Q_PORT_8084_TCP_ADDR", "fe80::1"},
  };
  EXPECT_EQ(env, expected);
}

class ContainerEnv : public ::testing::Test {
 protected:
  Result<EnvVars> make(std::string_view container_json) {
    auto pod = std::make_shared<core::Pod>();
    pod->metadata.name = "p";
    pod->metadata.namespace_ = "ns";
    pod->spec.node_name = "node";
    pod->spec.service_account_name = "sa";
    pod->spec.containers.push_back(parsed<core::Container>(container_json));
    EnvInputs inputs;
    inputs.container = &pod->spec.containers[0];
    inputs.pod_ips = {"10.0.0.1", "fd00::1"};
    inputs.host_ips = {"192.168.0.1"};
    inputs.services = {service(
        R"({"metadata":{"name":"kubernetes"},"spec":{"clusterIP":"10.96.0.1","ports":[{"port":443}]}})")};
    inputs.event = [this](const std::string& type, const std::string& reason,
                          const std::string& message) {
      events.push_back(type + " " + reason + " " + message);
    };
    inputs.pod = std::move(pod);
    return testing::run(context, make_container_env(objects, std::move(inputs)));
  }

  boost::asio::io_context context;
  testing::FakeObjects objects;
  std::vector<std::string> events;
};

TEST_F(ContainerEnv, OverridesInOrderAndRefersToEarlierVariables) {
  objects.config_maps["ns/cm"] =
      parsed<core::ConfigMap>(R"({"data":{"A":"from-cm","1bad":"x","K":"cmk"}})");
  objects.secrets["ns/s"] = parsed<core::Secret>(R"({"data":{"A":"c2Vj","B":"YmI="}})");
  Result<EnvVars> env = make(R"json({"name":"c","envFrom":[
      {"configMapRef":{"name":"cm"}},{"prefix":"p-","secretRef":{"name":"s"}},{"configMapRef":{"name":"gone","optional":true}}],
    "env":[{"name":"X","value":"$(A)-$(p-B)-$(KUBERNETES_SERVICE_HOST)-$(LATER)"},{"name":"A","value":"mine"},{"name":"Y","value":"$(A)"},
      {"name":"POD","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"}}},
      {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
      {"name":"IPS","valueFrom":{"fieldRef":{"fieldPath":"status.podIPs"}}},
      {"name":"HOST","valueFrom":{"fieldRef":{"fieldPath":"status.hostIP"}}},
      {"name":"SA","valueFrom":{"fieldRef":{"fieldPath":"spec.serviceAccountName"}}},
      {"name":"CMK","valueFrom":{"configMapKeyRef":{"name":"cm","key":"K"}}},
      {"name":"SK","valueFrom":{"secretKeyRef":{"name":"s","key":"B"}}},
      {"name":"NONE","valueFrom":{"secretKeyRef":{"name":"s","key":"absent","optional":true}}},
      {"name":"KUBERNETES_SERVICE_PORT","value":"1"}]})json");
  ASSERT_TRUE(env.ok()) << env.status().message();
  EXPECT_THAT(*env, Contains(Pair("A", "mine")));
  EXPECT_THAT(*env, Contains(Pair("X", "from-cm-bb-10.96.0.1-$(LATER)")));
  EXPECT_THAT(*env, Contains(Pair("Y", "mine")));
  EXPECT_THAT(*env, Contains(Pair("p-A", "sec")));
  EXPECT_THAT(*env, Contains(Pair("POD", "p")));
  EXPECT_THAT(*env, Contains(Pair("IP", "10.0.0.1")));
  EXPECT_THAT(*env, Contains(Pair("IPS", "10.0.0.1,fd00::1")));
  EXPECT_THAT(*env, Contains(Pair("HOST", "192.168.0.1")));
  EXPECT_THAT(*env, Contains(Pair("SA", "sa")));
  EXPECT_THAT(*env, Contains(Pair("CMK", "cmk")));
  EXPECT_THAT(*env, Contains(Pair("SK", "bb")));
  EXPECT_THAT(*env, Contains(Pair("KUBERNETES_SERVICE_PORT", "1")));
  EXPECT_THAT(*env, Not(Contains(Pair("KUBERNETES_SERVICE_PORT", "443"))));
  EXPECT_THAT(*env, Not(Contains(Pair("NONE", ::testing::_))));
  EXPECT_THAT(events, ElementsAre("Warning InvalidEnvironmentVariableNames Keys [1bad] from the "
                                  "EnvFrom configMap ns/cm were skipped "
                                  "since they are considered invalid environment variable names."));
}

TEST_F(ContainerEnv, FailsWithUpstreamsWords) {
  objects.config_maps["ns/cm"] = core::ConfigMap();
  auto message = [&](std::string_view json) { return std::string(make(json).status().message()); };
  EXPECT_EQ(message(R"({"name":"c","envFrom":[{"configMapRef":{"name":"gone"}}]})"),
            "configmap \"gone\" not found");
  EXPECT_EQ(
      message(
          R"({"name":"c","env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"cm","key":"k"}}}]})"),
      "couldn't find key k in ConfigMap ns/cm");
  EXPECT_EQ(
      message(
          R"({"name":"c","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]})"),
      "secret \"s\" not found");
  EXPECT_EQ(
      message(
          R"({"name":"c","env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.whoops"}}}]})"),
      "field label not supported: spec.whoops");
}

TEST(Command, ExpandsBothLists) {
  core::Container container = parsed<core::Container>(
      R"json({"name":"c","command":["$(A)","$$(A)"],"args":["x$(B)","$(C)"]})json");
  CommandLine line = expand_command(container, {{"A", "1"}, {"B", "2"}});
  EXPECT_THAT(line.command, ElementsAre("1", "$(A)"));
  EXPECT_THAT(line.args, ElementsAre("x2", "$(C)"));
}

TEST(Hostname, TruncatesAndQualifies) {
  core::Pod pod;
  pod.metadata.name = std::string(62, 'a') + "-bcd";
  pod.metadata.namespace_ = "ns";
  Result<PodHostname> made = pod_hostname(pod, "cluster.local");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->hostname, std::string(62, 'a'));
  EXPECT_EQ(made->domain, "");
  pod.spec.hostname = "h";
  pod.spec.subdomain = "sub";
  pod.spec.set_hostname_as_fqdn = true;
  made = pod_hostname(pod, "cluster.local");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->domain, "sub.ns.svc.cluster.local");
  EXPECT_EQ(made->kernel_name, "h.sub.ns.svc.cluster.local");
  pod.spec.subdomain = std::string(60, 's');
  EXPECT_THAT(std::string(pod_hostname(pod, "cluster.local").status().message()),
              ::testing::HasSubstr("(64 characters is the max, "));
  pod.spec.hostname = "Bad_";
  EXPECT_FALSE(pod_hostname(pod, "cluster.local").ok());
}

TEST(HostsFile, IsUpstreams) {
  core::Pod pod = parsed<core::Pod>(
      R"({"spec":{"hostAliases":[{"ip":"123.45.67.89","hostnames":["foo","bar"]}]}})");
  EXPECT_EQ(hosts_file(pod, {"203.0.113.1", "fd00::6"}, "podFoo", "domainFoo", ""),
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
            "ip6-loopback\nfe00::0\tip6-localnet\n"
            "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n203.0.113."
            "1\tpodFoo.domainFoo\tpodFoo\n"
            "fd00::6\tpodFoo.domainFoo\tpodFoo\n\n# Entries added by "
            "HostAliases.\n123.45.67.89\tfoo\tbar\n");
  pod.spec.host_network = true;
  EXPECT_EQ(hosts_file(pod, {"1.1.1.1"}, "x", "", "NODE\n"),
            "# Kubernetes-managed hosts file (host network).\nNODE\n\n# Entries added by "
            "HostAliases.\n123.45.67.89\tfoo\tbar\n");
}

TEST(ResolvConfFile, IsReadLeniently) {
  struct Case {
    const char* text;
    std::vector<std::string> servers, searches, options;
  };
  const Case cases[] = {
      {"", {}, {}, {}},
      {"#comment\nnameserver 1.2.3.4\nsearch", {"1.2.3.4"}, {}, {}},
      {"nameserver \t 1.2.3.4 #comment", {"1.2.3.4"}, {}, {}},
      {"search foo .  bar", {}, {"foo", "bar"}, {}},
      {"search foo. bar", {}, {"foo", "bar"}, {}},
      {"search foo\nsearch bar", {}, {"bar"}, {}},
      {"options ndots:1 timeout:3 timeout:1 attempts:3\noptions ndots:5",
       {},
       {},
       {"ndots:5", "timeout:1", "attempts:3"}},
  };
  for (const Case& one : cases) {
    Result<ResolvConf> conf = parse_resolv_conf(one.text);
    ASSERT_TRUE(conf.ok());
    EXPECT_EQ(conf->servers, one.servers) << one.text;
    EXPECT_EQ(conf->searches, one.searches) << one.text;
    EXPECT_EQ(conf->options, one.options) << one.text;
  }
  EXPECT_FALSE(parse_resolv_conf("nameserver\n").ok());
}

class Dns : public ::testing::Test {
 protected:
  Dns() {
    Status written = write_plain(dir / "resolv.conf",
                                 "nameserver 9.9.9.9\nsearch host.example\noptions rotate\n", 0644);
    EXPECT_TRUE(written.ok());
    settings.cluster_dns = {"10.96.0.10"};
    settings.resolv_conf = dir / "resolv.conf";
    pod.metadata.namespace_ = "ns";
    pod.spec.dns_policy = "ClusterFirst";
  }
  std::string made() {
    DnsEvent event = [this](const std::string&, const std::string& reason, const std::string&) {
      reasons.push_back(reason);
    };
    Result<api::cri_v1::DNSConfig> config = pod_dns_config(pod, settings, event);
    if (!config.ok()) return std::string(config.status().message());
    std::string text;
    for (const auto* list : {&config->servers, &config->searches, &config->options}) {
      for (const schema::Str& item : *list) text += item.str() + " ";
      text += "|";
    }
    return text;
  }
  testing::TempDir dir;
  DnsSettings settings;
  core::Pod pod;
  std::vector<std::string> reasons;
};

TEST_F(Dns, FollowsThePolicy) {
  EXPECT_EQ(
      made(),
      "10.96.0.10 |ns.svc.cluster.local svc.cluster.local cluster.local host.example |ndots:5 |");
  pod.spec.host_network = true;
  EXPECT_EQ(made(), "9.9.9.9 |host.example |rotate |");
  pod.spec.dns_policy = "ClusterFirstWithHostNet";
  EXPECT_EQ(
      made(),
      "10.96.0.10 |ns.svc.cluster.local svc.cluster.local cluster.local host.example |ndots:5 |");
  pod.spec.dns_policy = "None";
  pod.spec.dns_config = parsed<core::PodDNSConfig>(
      R"({"nameservers":["1.1.1.1"],"searches":["a.b"],"options":[{"name":"ndots","value":"2"},{"name":"edns0"}]})");
  EXPECT_EQ(made(), "1.1.1.1 |a.b |ndots:2 edns0 |");
  pod.spec.dns_policy = "ClusterFirst";
  pod.spec.host_network = false;
  EXPECT_EQ(made(),
            "10.96.0.10 1.1.1.1 |ns.svc.cluster.local svc.cluster.local cluster.local host.example "
            "a.b |ndots:2 edns0 |");
  EXPECT_THAT(reasons, IsEmpty());
}

TEST_F(Dns, FallsBackWithoutClusterDns) {
  settings.cluster_dns.clear();
  EXPECT_EQ(made(), "9.9.9.9 |host.example |rotate |");
  EXPECT_THAT(reasons, ElementsAre("MissingClusterDNS"));
  settings.resolv_conf.clear();
  settings.node_addresses = {"10.0.0.1", "fd00::1"};
  EXPECT_EQ(made(), "127.0.0.1 ::1 |. ||");
}

TEST_F(Dns, KeepsWithinTheLimits) {
  pod.spec.dns_config = core::PodDNSConfig();
  for (const char* server : {"1.1.1.1", "2.2.2.2", "3.3.3.3"})
    pod.spec.dns_config->nameservers.push_back(server);
  for (int i = 0; i < 40; ++i) pod.spec.dns_config->searches.push_back("d" + std::to_string(i));
  pod.spec.dns_config->searches.push_back(std::string(254, 'x'));
  std::string text = made();
  EXPECT_TRUE(text.starts_with("10.96.0.10 1.1.1.1 2.2.2.2 |"));
  EXPECT_EQ(text.find("d28 "), std::string::npos);
  EXPECT_NE(text.find("d27 "), std::string::npos);
  EXPECT_THAT(reasons, ElementsAre("DNSConfigForming", "DNSConfigForming"));
}

}  // namespace
}  // namespace knarr::kubelet
