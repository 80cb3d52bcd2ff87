// SPDX-License-Identifier: Apache-2.0
// Who is let in and what it is told: the whole server in this process, with the authorizers Node and RBAC.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "api/rbac_v1.h"
#include "apiserver/impersonation.h"
#include "apiserver/server.h"
#include "schema/json.h"
#include "store/embedded_store.h"

namespace knarr::apiserver {
namespace {

namespace fs = std::filesystem;

struct Answer {
  int code = 0;
  std::string message;
  json::Value body;
};

class AccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path().string() + "/access_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
    store::EmbeddedOptions store_options;
    store_options.dir = folder_ + "/store";
    store_options.no_sync = true;
    auto opened = store::open_embedded_store(store_options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(*opened);
    Options options;
    options.authorization_mode = "Node,RBAC";
    options.enable_admission_plugins = {"NodeRestriction"};
    options.disable_admission_plugins = {"ServiceAccount"};
    server_ = make_api_server(loop_.get_executor(), store_, Clock::real(), options);
    Status status = run(server_->start());
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void TearDown() override {
    struct Stop {
      static Task<bool> run(ApiServer* server) {
        co_await server->stop();
        co_return true;
      }
    };
    run(Stop::run(server_.get()));
    loop_.restart();
    loop_.poll();
    server_.reset();
    store_.reset();
    fs::remove_all(folder_);
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    spawn(loop_.get_executor(), keep(std::move(task), &result));
    loop_.restart();
    while (!result.has_value() && loop_.run_one() > 0) {
    }
    return std::move(*result);
  }
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }

  Answer ask(const User& user, const std::string& method, const std::string& target, const std::string& body = "",
             const std::string& type = "application/json") {
    client::ApiRequest request;
    request.method = method;
    request.target = target;
    request.accept = "application/json";
    request.body = body;
    if (!body.empty()) request.content_type = type;
    auto transport = server_->local_transport(user);
    auto response = run(transport->send(std::move(request)));
    Answer answer;
    answer.code = response->status;
    auto parsed = json::parse(response->body);
    if (parsed.ok()) answer.body = std::move(*parsed);
    answer.message = answer.body.at({"message"}).as_string();
    return answer;
  }
  Answer admin(const std::string& method, const std::string& target, const std::string& body = "") {
    return ask({"admin", "", {"system:masters", "system:authenticated"}, {}}, method, target, body);
  }
  void role(const std::string& name, const std::string& rules) {
    EXPECT_EQ(admin("POST", kRbac + "/clusterroles", R"({"metadata":{"name":")" + name + R"("},"rules":)" + rules + "}").code, 201);
  }
  void bind(const std::string& ns, const std::string& role, const std::string& user) {
    std::string where = ns.empty() ? "/clusterrolebindings" : "/namespaces/" + ns + "/rolebindings";
    EXPECT_EQ(admin("POST", kRbac + where, binding(role, user)).code, 201);
  }
  static std::string binding(const std::string& role, const std::string& user) {
    return R"({"metadata":{"name":")" + user + "-" + role + R"("},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":")" + role +
           R"("},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":")" + user + R"("}]})";
  }
  static User user(const std::string& name, std::vector<std::string> groups = {}) {
    groups.emplace_back("system:authenticated");
    return {name, "", std::move(groups), {}};
  }

  const std::string kRbac = "/apis/rbac.authorization.k8s.io/v1", kDefault = "/api/v1/namespaces/default";
  std::string folder_;
  boost::asio::io_context loop_;
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(AccessTest, NobodyIsLetInForBeingAuthenticated) {
  User x = user("x");
  EXPECT_EQ(ask(x, "GET", "/api/v1/namespaces/y/pods").message,
            R"(pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y")");
  EXPECT_EQ(ask(x, "GET", "/apis/apps/v1/deployments").message,
            R"(deployments.apps is forbidden: User "x" cannot list resource "deployments" in API group "apps" at the cluster scope)");
  EXPECT_EQ(ask(x, "GET", kDefault + "/pods/p/log").message,
            R"(pods "p" is forbidden: User "x" cannot get resource "pods/log" in API group "" in the namespace "default")");
  EXPECT_EQ(ask(x, "GET", "/metrics").message, R"(forbidden: User "x" cannot get path "/metrics")");
  EXPECT_EQ(ask(x, "GET", "/apis").code, 200);
  EXPECT_EQ(ask({"system:anonymous", "", {"system:unauthenticated"}, {}}, "GET", "/apis").code, 403);
  EXPECT_EQ(ask({"system:anonymous", "", {"system:unauthenticated"}, {}}, "GET", "/version").code, 200);
  EXPECT_EQ(ask(x, "GET", "/api/v1/namespaces/%3Cb%3E/pods").message,
            R"(pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "&lt;b&gt;")");
}

TEST_F(AccessTest, BindingsTakeEffectAtOnceAndEndAtOnce) {
  User joe = user("joe");
  role("reader", R"([{"verbs":["get","list"],"apiGroups":[""],"resources":["configmaps"]}])");
  EXPECT_EQ(ask(joe, "GET", kDefault + "/configmaps").code, 403);
  bind("default", "reader", "joe");
  EXPECT_EQ(ask(joe, "GET", kDefault + "/configmaps").code, 200);
  EXPECT_EQ(ask(joe, "GET", "/api/v1/configmaps").code, 403);
  EXPECT_EQ(ask(joe, "GET", "/api/v1/namespaces/kube-system/configmaps").code, 403);
  admin("DELETE", kRbac + "/clusterroles/reader");
  EXPECT_EQ(ask(joe, "GET", kDefault + "/configmaps").message,
            R"(configmaps is forbidden: User "joe" cannot list resource "configmaps" in API group "" in the namespace "default": RBAC: )"
            R"(clusterrole.rbac.authorization.k8s.io "reader" not found)");
  role("reader", R"([{"verbs":["list"],"apiGroups":["*"],"resources":["*"]}])");
  EXPECT_EQ(ask(joe, "GET", kDefault + "/configmaps").code, 200);
  admin("DELETE", kRbac + "/namespaces/default/rolebindings/joe-reader");
  EXPECT_EQ(ask(joe, "GET", kDefault + "/configmaps").code, 403);
}

TEST_F(AccessTest, NobodyGrantsWhatHeDoesNotHold) {
  User joe = user("joe");
  role("granter", R"([{"verbs":["*"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["none"]},)"
                  R"({"verbs":["create","update","get","patch"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["*"]},)"
                  R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])");
  bind("", "granter", "joe");
  std::string role = R"({"metadata":{"name":"mine"},"rules":[{"verbs":["get","list","watch"],"apiGroups":[""],"resources":["pods"]}]})";
  Answer refused = ask(joe, "POST", kRbac + "/clusterroles", role);
  EXPECT_EQ(refused.code, 403);
  EXPECT_EQ(refused.message,
            R"(clusterroles.rbac.authorization.k8s.io "mine" is forbidden: user "joe" (groups=["system:authenticated"]) is attempting to grant )"
            "RBAC permissions not currently held:\n"
            R"({APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]})");
  EXPECT_EQ(ask(joe, "POST", kRbac + "/clusterroles", R"({"metadata":{"name":"less"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})").code, 201);
  EXPECT_EQ(ask(joe, "POST", kRbac + "/namespaces/default/rolebindings", binding("less", "ann")).code, 201);
  EXPECT_EQ(ask(joe, "POST", kRbac + "/namespaces/default/rolebindings", binding("system:aggregate-to-view", "ann")).code, 403);
  EXPECT_EQ(ask(joe, "POST", kRbac + "/namespaces/default/rolebindings", binding("absent", "ann")).message,
            R"(clusterroles.rbac.authorization.k8s.io "absent" not found)");
  EXPECT_EQ(ask(joe, "PATCH", kRbac + "/clusterroles/less", R"({"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]})",
                "application/merge-patch+json")
                .code,
            403);
  EXPECT_EQ(ask(joe, "POST", kRbac + "/clusterroles",
                R"({"metadata":{"name":"all"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]},"rules":[]})")
                .message,
            R"(clusterroles.rbac.authorization.k8s.io "all" is forbidden: must have cluster-admin privileges to use the aggregationRule)");
  // With the verbs for it, he may.
  this->role("binder", R"([{"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["system:aggregate-to-view"]},)"
                       R"({"verbs":["escalate"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"]}])");
  bind("", "binder", "joe");
  EXPECT_EQ(ask(joe, "POST", kRbac + "/namespaces/default/rolebindings", binding("system:aggregate-to-view", "ann")).code, 201);
  EXPECT_EQ(ask(joe, "POST", kRbac + "/clusterroles", role).code, 201);
  Answer changed = ask(joe, "PATCH", kRbac + "/namespaces/default/rolebindings/ann-system:aggregate-to-view", R"({"roleRef":{"name":"less"}})", "application/merge-patch+json");
  EXPECT_EQ(changed.code, 422);
}

TEST_F(AccessTest, ReviewsTellWhatIsAllowedAndWhy) {
  role("reader", R"([{"verbs":["list"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]},{"verbs":["get"],"nonResourceURLs":["/x/*"]}])");
  bind("default", "reader", "joe");
  Answer answer = admin("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                        R"({"spec":{"user":"joe","resourceAttributes":{"verb":"list","resource":"pods","namespace":"default","name":"a"}}})");
  EXPECT_TRUE(answer.body.at({"status", "allowed"}).as_bool());
  EXPECT_EQ(answer.body.at({"status", "reason"}).as_string(),
            R"(RBAC: allowed by RoleBinding "joe-reader/default" of ClusterRole "reader" to User "joe")");
  answer = ask(user("joe"), "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
               R"({"spec":{"resourceAttributes":{"verb":"list","resource":"pods","namespace":"default","name":"b"}}})");
  EXPECT_EQ(answer.code, 201);
  EXPECT_FALSE(answer.body.at({"status", "allowed"}).as_bool());
  answer = ask(user("joe"), "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", R"({"spec":{"namespace":"default"}})");
  EXPECT_NE(json::to_string(answer.body).find(R"({"verbs":["list"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})"), std::string::npos);
  answer = ask(user("system:node:n", {"system:nodes"}), "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", R"({"spec":{"namespace":"default"}})");
  EXPECT_TRUE(answer.body.at({"status", "incomplete"}).as_bool());
  EXPECT_EQ(answer.body.at({"status", "evaluationError"}).as_string(), "node authorizer does not support user rule resolution");
}

TEST_F(AccessTest, NodesReachWhatTheirPodsReferTo) {
  User n1 = user("system:node:n1", {"system:nodes"}), n2 = user("system:node:n2", {"system:nodes"});
  EXPECT_EQ(ask(n1, "POST", "/api/v1/nodes", R"({"metadata":{"name":"n1","labels":{"kubernetes.io/hostname":"n1"}}})").code, 201);
  EXPECT_EQ(ask(n1, "POST", "/api/v1/nodes", R"({"metadata":{"name":"n2"}})").message,
            R"(nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2")");
  EXPECT_EQ(ask(n2, "POST", "/api/v1/nodes", R"({"metadata":{"name":"n2","labels":{"node-restriction.kubernetes.io/x":"y","foo.k8s.io/z":""}}})").message,
            R"(nodes "n2" is forbidden: node "n2" is not allowed to set the following labels: foo.k8s.io/z, node-restriction.kubernetes.io/x)");
  admin("POST", kDefault + "/secrets", R"({"metadata":{"name":"s"}})");
  EXPECT_EQ(ask(n1, "GET", kDefault + "/secrets/s").message,
            R"(secrets "s" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": )"
            R"(no relationship found between node 'n1' and this object)");
  admin("POST", kDefault + "/pods",
        R"({"metadata":{"name":"p"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i","envFrom":[{"secretRef":{"name":"s"}}]}]}})");
  EXPECT_EQ(ask(n1, "GET", kDefault + "/secrets/s").code, 200);
  EXPECT_EQ(ask(n2, "GET", kDefault + "/secrets/s").code, 403);
  EXPECT_EQ(ask(n1, "GET", kDefault + "/secrets").code, 403);
  EXPECT_EQ(ask(n1, "GET", kDefault + "/secrets?fieldSelector=metadata.name%3Ds").code, 200);
  std::string status = R"({"status":{"phase":"Running"}})";
  EXPECT_EQ(ask(n1, "PATCH", kDefault + "/pods/p/status", status, "application/merge-patch+json").code, 200);
  EXPECT_EQ(ask(n2, "PATCH", kDefault + "/pods/p/status", status, "application/merge-patch+json").message,
            R"(pods "p" is forbidden: node "n2" can only update pod status for pods with spec.nodeName set to itself)");
  EXPECT_EQ(ask(n2, "POST", kDefault + "/pods/p/eviction", R"({"metadata":{"name":"p"}})").message,
            R"(pods "p" is forbidden: node n2 can only evict pods with spec.nodeName set to itself)");
  EXPECT_EQ(ask(n1, "POST", kDefault + "/pods", R"({"metadata":{"name":"q"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}})").message,
            R"(pods "q" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods)");
  EXPECT_EQ(ask(n1, "PATCH", "/api/v1/nodes/n1", R"({"spec":{"taints":[{"key":"k","effect":"NoSchedule"}]}})", "application/merge-patch+json").message,
            R"(nodes "n1" is forbidden: node "n1" is not allowed to modify taints)");
  std::string leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
  EXPECT_EQ(ask(n1, "POST", leases, R"({"metadata":{"name":"n1"}})").code, 201);
  EXPECT_EQ(ask(n1, "POST", leases, R"({"metadata":{"name":"n2"}})").message,
            R"(leases.coordination.k8s.io "n2" is forbidden: can only access node lease with the same name as the requesting node)");
  EXPECT_EQ(ask(n2, "GET", leases + "/n1").code, 403);
  admin("DELETE", kDefault + "/pods/p?gracePeriodSeconds=0");
  EXPECT_EQ(ask(n1, "GET", kDefault + "/secrets/s").code, 403);
}

net::Headers headers(std::initializer_list<std::pair<std::string, std::string>> fields) {
  net::Headers made;
  for (const auto& [name, value] : fields) made.add(name, value);
  return made;
}

TEST(Impersonation, EveryPartIsChecked) {
  EXPECT_FALSE(asks_to_impersonate(headers({{"Accept", "x"}, {"If-Match", "y"}})));
  net::Headers all = headers({{"Impersonate-User", "joe"}, {"impersonate-group", "a"}, {"Impersonate-Group", "b"}, {"Impersonate-Extra-Acme.com%2Fscope", "s"},
                              {"Impersonate-Uid", "7"}});
  ASSERT_TRUE(asks_to_impersonate(all));
  auto parsed = parse_impersonation(all);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->user.name, "joe");
  EXPECT_EQ(parsed->user.uid, "7");
  EXPECT_EQ(parsed->user.groups, (std::vector<std::string>{"a", "b", "system:authenticated"}));
  EXPECT_EQ(parsed->user.extra.at("acme.com/scope"), std::vector<std::string>{"s"});
  std::string checks;
  for (const auto& check : parsed->checks) checks += check.group + " " + check.resource + "/" + check.subresource + " " + check.name + "; ";
  EXPECT_EQ(checks, " users/ joe;  groups/ a;  groups/ b; authentication.k8s.io userextras/acme.com/scope s; authentication.k8s.io uids/ 7; ");
}

TEST(Impersonation, ServiceAccountsBringTheirGroups) {
  auto parsed = parse_impersonation(headers({{"Impersonate-User", "system:serviceaccount:ns:bot"}}));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->user.groups, (std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"}));
  EXPECT_EQ(parsed->checks[0].resource, "serviceaccounts");
  EXPECT_EQ(parsed->checks[0].namespace_, "ns");
  parsed = parse_impersonation(headers({{"Impersonate-User", "system:anonymous"}}));
  EXPECT_EQ(parsed->user.groups, std::vector<std::string>{"system:unauthenticated"});
  parsed = parse_impersonation(headers({{"Impersonate-User", "x"}, {"Impersonate-Group", "system:unauthenticated"}}));
  EXPECT_EQ(parsed->user.groups, std::vector<std::string>{"system:unauthenticated"});
  EXPECT_EQ(parse_impersonation(headers({{"Impersonate-Group", "a"}})).status().code(), 500);
}

}  // namespace
}  // namespace knarr::apiserver
