// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/init_system.h"

#include "kubeadm/text.h"

namespace knarr::kubeadm {
namespace {

class CommandInitSystem : public InitSystem {
 public:
  explicit CommandInitSystem(Host& host) : host_(host) {}

 protected:
  ProgramOutput output(const std::vector<std::string>& args) {
    auto ran = host_.run(args);
    return ran.ok() ? *ran : ProgramOutput{127, "", std::string(ran.status().message())};
  }
  Status check(const std::vector<std::string>& args) {
    auto ran = host_.run(args);
    if (!ran.ok()) return ran.status();
    return ran->code == 0 ? Status() : Status::error("exit status " + std::to_string(ran->code));
  }
  Host& host_;
};

class Systemd final : public CommandInitSystem {
 public:
  using CommandInitSystem::CommandInitSystem;
  bool exists(const std::string& service) override {
    return output({"systemctl", "status", service}).out.find("Loaded: not-found") == std::string::npos;
  }
  bool is_enabled(const std::string& service) override { return output({"systemctl", "is-enabled", service}).code == 0; }
  bool is_active(const std::string& service) override {
    std::string state = trim_space(output({"systemctl", "is-active", service}).out);
    return state == "active" || state == "activating";
  }
  std::string enable_command(const std::string& service) const override { return "systemctl enable " + service + ".service"; }
  Status restart(const std::string& service) override {
    TRY(check({"systemctl", "daemon-reload"}).with_context("failed to reload systemd"));
    return check({"systemctl", "restart", service});
  }
  Status stop(const std::string& service) override { return check({"systemctl", "stop", service}); }
};

class OpenRc final : public CommandInitSystem {
 public:
  using CommandInitSystem::CommandInitSystem;
  bool exists(const std::string& service) override {
    return output({"rc-service", service, "status"}).combined().find("does not exist") == std::string::npos;
  }
  bool is_enabled(const std::string& service) override { return output({"rc-update", "show", "default"}).out.find(service) != std::string::npos; }
  bool is_active(const std::string& service) override {
    std::string text = output({"rc-service", service, "status"}).combined();
    return text.find("stopped") == std::string::npos && text.find("does not exist") == std::string::npos;
  }
  std::string enable_command(const std::string& service) const override { return "rc-update add " + service + " default"; }
  Status restart(const std::string& service) override { return check({"rc-service", service, "restart"}); }
  Status stop(const std::string& service) override { return check({"rc-service", service, "stop"}); }
};

constexpr char kNotStopped[] = "can't make sure the kubelet not running for a short period of time while setting up configuration for it.";
constexpr char kWontStop[] = "won't make sure the kubelet not running for a short period of time while setting up configuration for it.";

}  // namespace

std::unique_ptr<InitSystem> find_init_system(Host& host) {
  if (!host.look_path("systemctl").empty()) return std::make_unique<Systemd>(host);
  if (!host.look_path("openrc").empty()) return std::make_unique<OpenRc>(host);
  return nullptr;
}

void try_stop_kubelet(Host& host) {
  auto services = find_init_system(host);
  if (!services) return host.print(std::string("[kubelet-start] No supported init system detected, ") + kWontStop + "\n");
  if (!services->exists("kubelet")) host.print(std::string("[kubelet-start] Couldn't detect a kubelet service, ") + kNotStopped + "\n");
  if (Status stopped = services->stop("kubelet"); !stopped.ok())
    host.warn("[kubelet-start] WARNING: unable to stop the kubelet service momentarily: [" + std::string(stopped.message()) + "]");
}

void try_start_kubelet(Host& host) {
  auto services = find_init_system(host);
  if (!services) return host.print("[kubelet-start] No supported init system detected, won't make sure the kubelet is running properly.\n");
  if (!services->exists("kubelet")) host.print("[kubelet-start] Couldn't detect a kubelet service, can't make sure the kubelet is running properly.\n");
  if (Status started = services->restart("kubelet"); !started.ok()) {
    host.warn("[kubelet-start] WARNING: unable to start the kubelet service: [" + std::string(started.message()) + "]");
    host.print("[kubelet-start] Please ensure kubelet is reloaded and running manually.\n");
  }
}

void try_restart_kubelet(Host& host) {
  auto services = find_init_system(host);
  if (!services) return host.print(std::string("[kubelet-start] No supported init system detected, ") + kWontStop + "\n");
  if (!services->exists("kubelet")) host.print(std::string("[kubelet-start] Couldn't detect a kubelet service, ") + kNotStopped + "\n");
  if (Status restarted = services->restart("kubelet"); !restarted.ok())
    host.warn("[kubelet-start] WARNING: unable to restart the kubelet service momentarily: [" + std::string(restarted.message()) + "]");
}

}  // namespace knarr::kubeadm
