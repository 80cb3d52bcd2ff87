// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/runtime.h"

#include "kubeadm/text.h"
#include "schema/json.h"

namespace knarr::kubeadm {
namespace {

constexpr int kAttempts = 5;

}  // namespace

Result<ProgramOutput> Runtime::crictl(std::vector<std::string> args, const std::string& failure) {
  std::vector<std::string> command = {"crictl", "-r", socket_, "-i", socket_};
  command.insert(command.end(), args.begin(), args.end());
  auto ran = host_.run(command);
  if (!ran.ok()) return ran.status().with_context(failure + ", error");
  if (ran->code != 0) return Status::error(failure + ran->err + ran->out + ", error: exit status " + std::to_string(ran->code));
  return *ran;
}

Status Runtime::is_running() { return crictl({"info"}, "container runtime is not running: output: ").status(); }

bool Runtime::has_image(const std::string& image) { return crictl({"inspecti", image}, "").ok(); }

std::set<std::string> Runtime::images() {
  std::set<std::string> names;
  auto output = crictl({"images", "-o", "json"}, "");
  auto list = json::parse(output.ok() ? output->out : "");
  if (!list.ok()) return names;
  for (const json::Value& image : list->at({"images"}).items())
    for (const char* kind : {"repoTags", "repoDigests"})
      for (const json::Value& name : image.at({kind}).items()) names.insert(name.as_string());
  return names;
}

Status Runtime::pull(const std::string& image) {
  Status last;
  for (int i = 0; i < kAttempts; ++i) {
    last = crictl({"pull", image}, "output: ").status();
    if (last.ok()) break;
  }
  return last;
}

Result<std::string> Runtime::sandbox_image() {
  TRY_ASSIGN(ProgramOutput output, crictl({"-D=false", "info", "-o", "go-template", "--template", "{{.config.sandboxImage}}"}, "output: "));
  std::string image = trim_space(output.out);
  if (image.empty()) return Status::error("the detected sandbox image is empty");
  return image;
}

Result<std::vector<std::string>> Runtime::pods() {
  TRY_ASSIGN(ProgramOutput output, crictl({"-D=false", "pods", "-q"}, "output: "));
  return split_fields(output.out);
}

Status Runtime::remove_pods(const std::vector<std::string>& ids) {
  std::vector<std::string> failures;
  for (const std::string& id : ids) {
    Status last;
    for (int i = 0; i < kAttempts; ++i) {
      last = crictl({"stopp", id}, "failed to stop running pod " + id + ": output: ").status();
      if (last.ok()) last = crictl({"rmp", id}, "failed to remove running container " + id + ": output: ").status();
      if (last.ok()) break;
    }
    if (!last.ok()) failures.emplace_back(last.message());
  }
  if (failures.empty()) return {};
  return Status::error(failures.size() == 1 ? failures[0] : "[" + join(failures, ", ") + "]");
}

}  // namespace knarr::kubeadm
