// SPDX-License-Identifier: Apache-2.0
// ttl: the annotation node.alpha.kubernetes.io/ttl of every node.
#include "controller/ttl.h"

#include <limits>

#include "controller/controller.h"
#include "controller/node_util.h"

namespace knarr::controller {

namespace {

struct Step {
  int least, most, seconds;
};
constexpr Step kSteps[] = {{0, 100, 0}, {90, 500, 15}, {450, 1000, 30}, {900, 2000, 60}, {1800, std::numeric_limits<int>::max(), 300}};

}  // namespace

void TtlSteps::add_node() {
  if (++nodes_ > kSteps[step_].most) ++step_;
}
void TtlSteps::remove_node() {
  if (--nodes_ < kSteps[step_].least) --step_;
}
int TtlSteps::seconds() const { return kSteps[step_].seconds; }

namespace {

constexpr std::string_view kAnnotation = "node.alpha.kubernetes.io/ttl";

struct TtlController : std::enable_shared_from_this<TtlController> {
  explicit TtlController(ContextPtr context)
      : context(std::move(context)), nodes(this->context->informers.get<Node>()), queue(this->context->make_queue("ttlcontroller")) {}

  void start() {
    auto self = shared_from_this();
    nodes.add_handler([self](const NodePtr& old, const NodePtr& now) {
      if (old == nullptr) self->steps.add_node();
      if (now == nullptr) self->steps.remove_node();
      if (now != nullptr) self->queue->add(now->metadata.name.str());
    });
    context->run_when_synced({nodes.core_ptr()}, queue, "ttl", 5, [self](std::string key) { return self->reconcile(std::move(key)); });
  }

  Task<Status> reconcile(std::string key) {
    NodePtr node = nodes.get(key);
    if (node == nullptr) co_return Status();
    std::string wanted = std::to_string(steps.seconds());
    if (schema::get_or_empty(node->metadata.annotations, kAnnotation) == wanted) co_return Status();
    std::string patch = fmt::format(R"({{"metadata":{{"annotations":{{"{}":"{}"}}}}}})", kAnnotation, wanted);
    std::string none;
    auto patched = co_await context->client.patch<Node>(std::move(none), std::move(key), client::PatchType::kStrategic, std::move(patch));
    co_return patched.status();
  }

  ContextPtr context;
  client::Informer<Node> nodes;
  std::shared_ptr<client::WorkQueue> queue;
  TtlSteps steps;
};

}  // namespace

void start_ttl(const ContextPtr& context) { std::make_shared<TtlController>(context)->start(); }

}  // namespace knarr::controller
