// SPDX-License-Identifier: Apache-2.0
#include "flannel/cni_plugin.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "base/files.h"

namespace knarr::flannel {
namespace {

constexpr size_t kMaxConfig = 1 << 20;
constexpr const char* kVersions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"};
constexpr int kErrorVersion = 1, kErrorEnvironment = 4, kErrorInternal = 999;

int fail(const std::string& version, int code, std::string_view message) {
  json::Value error;
  error["cniVersion"] = version.empty() ? std::string("1.0.0") : version;
  error["code"] = code;
  error["msg"] = message;
  std::printf("%s\n", json::to_string(error).c_str());
  return 1;
}

Result<std::string> read_all(int fd) {
  std::string text;
  char chunk[4096];
  for (;;) {
    ssize_t size = ::read(fd, chunk, sizeof chunk);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Status::from_errno("error reading from stdin", errno);
    if (size == 0) return text;
    text.append(chunk, static_cast<size_t>(size));
    if (text.size() > kMaxConfig) return Status::error("the configuration has more than 1 MiB");
  }
}

Result<std::string> find_plugin(const std::string& name) {
  const char* path = std::getenv("CNI_PATH");
  if (name.empty() || name.find('/') != std::string::npos) return Status::error("invalid plugin name: " + name);
  std::string_view folders = path == nullptr ? "" : path;
  while (!folders.empty()) {
    std::string_view folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folders.size(), folder.size() + 1));
    std::string file = std::string(folder) + "/" + name;
    struct stat info {};
    if (::stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode)) return file;
  }
  return Status::error(fmt::format("failed to find plugin \"{}\" in path [{}]", name, path == nullptr ? "" : path));
}

struct Outcome {
  int exit_code = 0;
  std::string output;
};

// Runs the delegate with our environment. A plugin reads all of its input before it prints, so writing first cannot block both.
Result<Outcome> run_delegate(const std::string& name, const std::string& input) {
  TRY_ASSIGN(std::string program, find_plugin(name));
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return Status::from_errno("pipe", errno);
  if (::pipe2(out, O_CLOEXEC) != 0) {
    ::close(in[0]);
    ::close(in[1]);
    return Status::from_errno("pipe", errno);
  }
  pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::execl(program.c_str(), program.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  if (child > 0) {
    for (size_t sent = 0; sent < input.size();) {
      ssize_t size = ::write(in[1], input.data() + sent, input.size() - sent);
      if (size < 0 && errno != EINTR) break;
      if (size > 0) sent += static_cast<size_t>(size);
    }
  }
  ::close(in[1]);
  Result<std::string> output = child > 0 ? read_all(out[0]) : Result<std::string>(Status::from_errno("fork", errno));
  ::close(out[0]);
  int status = 0;
  if (child > 0) ::waitpid(child, &status, 0);
  if (!output.ok()) return output.status();
  return Outcome{WIFEXITED(status) ? WEXITSTATUS(status) : 128, std::move(*output)};
}

std::string message_of_failure(const Outcome& outcome) {
  auto error = json::parse(outcome.output);
  if (!error.ok() || error->at({"msg"}).as_string().empty()) return fmt::format("netplugin failed: \"{}\"", outcome.output);
  std::string details = error->at({"details"}).as_string();
  return error->at({"msg"}).as_string() + (details.empty() ? "" : "; " + details);
}

// A container id is part of a file's name: no way out of the folder.
bool is_safe_id(std::string_view id) {
  return !id.empty() && id[0] != '.' && std::all_of(id.begin(), id.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-'; });
}

int add(const PluginConfig& config, const std::string& id) {
  auto text = read_file(config.subnet_file);
  auto failed = [&](const Status& status) {
    return fail(config.cni_version, kErrorInternal,
                fmt::format("failed to load flannel 'subnet.env' file: {}. Check the flannel pod log for this node.", status.message()));
  };
  if (!text.ok()) return failed(Status::error("open " + config.subnet_file + ": no such file or directory"));
  auto env = parse_subnet_env(*text, config.subnet_file);
  if (!env.ok()) return failed(env.status());
  auto delegate = delegate_config(config, *env);
  if (!delegate.ok()) return fail(config.cni_version, kErrorInternal, delegate.status().message());
  std::string input;
  json::write(input, *delegate, true);
  // Kept for DEL, when subnet.env may say something else.
  Status saved = make_dirs(config.data_dir, 0700);
  if (saved.ok()) saved = write_file(config.data_dir + "/" + id, input, 0600);
  if (!saved.ok()) return fail(config.cni_version, kErrorInternal, saved.message());
  auto outcome = run_delegate(delegate->at({"type"}).as_string(), input);
  if (!outcome.ok()) return fail(config.cni_version, kErrorInternal, "failed to delegate add: " + std::string(outcome.status().message()));
  if (outcome->exit_code != 0) return fail(config.cni_version, kErrorInternal, "failed to delegate add: " + message_of_failure(*outcome));
  std::fwrite(outcome->output.data(), 1, outcome->output.size(), stdout);
  return 0;
}

int remove(const PluginConfig& config, const std::string& id) {
  std::string path = config.data_dir + "/" + id;
  if (!file_exists(path)) return 0;  // removed already, or never made
  auto input = read_file(path);
  if (!input.ok()) return fail(config.cni_version, kErrorInternal, input.status().message());
  auto delegate = json::parse(*input);
  if (!delegate.ok()) {
    std::fprintf(stderr, "failed to parse netconf: %s", std::string(delegate.status().message()).c_str());
    ::unlink(path.c_str());
    return 0;
  }
  auto outcome = run_delegate(delegate->at({"type"}).as_string(), *input);
  if (!outcome.ok()) return fail(config.cni_version, kErrorInternal, outcome.status().message());
  if (outcome->exit_code != 0) {
    std::fwrite(outcome->output.data(), 1, outcome->output.size(), stdout);
    return 1;
  }
  ::unlink(path.c_str());
  return 0;
}

int print_version() {
  json::Value answer;
  answer["cniVersion"] = "1.0.0";
  for (const char* version : kVersions) answer["supportedVersions"].push_back(version);
  std::printf("%s\n", json::to_string(answer).c_str());
  return 0;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// CHECK came with 0.4.0.
bool knows_check(const std::string& version) { return version == "0.4.0" || version == "1.0.0"; }

}  // namespace

Result<PluginConfig> parse_plugin_config(std::string_view text) {
  auto root = json::parse(text);
  if (!root.ok()) return root.status().with_context("failed to load netconf");
  if (!root->is_object()) return Status::error("failed to load netconf: not an object");
  PluginConfig config;
  config.name = root->at({"name"}).as_string();
  config.cni_version = root->at({"cniVersion"}).as_string();
  if (const std::string& file = root->at({"subnetFile"}).as_string(); !file.empty()) config.subnet_file = file;
  if (const std::string& dir = root->at({"dataDir"}).as_string(); !dir.empty()) config.data_dir = dir;
  for (auto [key, out] : {std::pair("ipam", &config.ipam), std::pair("delegate", &config.delegate), std::pair("runtimeConfig", &config.runtime_config)}) {
    const json::Value* value = root->find(key);
    if (value == nullptr || value->is_null()) continue;
    if (!value->is_object()) return Status::error(fmt::format("failed to load netconf: {} is not an object", key));
    *out = *value;
  }
  return config;
}

Result<json::Value> delegate_config(const PluginConfig& config, const SubnetEnv& env) {
  json::Value delegate = config.delegate.is_null() ? json::Value::object() : config.delegate;
  if (const json::Value* type = delegate.find("type"); type != nullptr && !type->is_string())
    return Status::error("'delegate' dictionary, if present, must have (string) 'type' field");
  for (const char* key : {"name", "ipam"})
    if (delegate.find(key) != nullptr) return Status::error(fmt::format("'delegate' dictionary must not have '{}' field, it'll be set by flannel", key));
  auto set_default = [&](const char* key, json::Value value) {
    if (delegate.find(key) == nullptr) delegate[key] = std::move(value);
  };
  if (!config.runtime_config.is_null()) delegate["runtimeConfig"] = config.runtime_config;
  delegate["name"] = config.name;
  set_default("type", "bridge");
  // When flannel does not masquerade, the delegate has to.
  set_default("ipMasq", !env.ip_masq);
  set_default("mtu", env.mtu);
  if (delegate.at({"type"}).as_string() == "bridge") set_default("isGateway", true);
  if (!config.cni_version.empty()) delegate["cniVersion"] = config.cni_version;
  json::Value ipam = config.ipam.is_null() ? json::Value::object() : config.ipam;
  if (ipam.find("type") == nullptr) ipam["type"] = "host-local";
  json::Value range, ranges, set, routes = ipam.at({"routes"}).is_array() ? ipam.at({"routes"}) : json::Value::array();
  range["subnet"] = env.subnet.text();
  set.push_back(std::move(range));
  ranges.push_back(std::move(set));
  ipam["ranges"] = std::move(ranges);
  for (const Cidr& network : env.networks) {
    json::Value route;
    route["dst"] = network.text();
    routes.push_back(std::move(route));
  }
  ipam["routes"] = std::move(routes);
  delegate["ipam"] = std::move(ipam);
  return delegate;
}

int run_plugin() {
  std::string command = variable("CNI_COMMAND");
  if (command.empty()) {
    std::fprintf(stderr, "CNI Plugin flannel\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0\n");
    return 0;
  }
  if (command == "VERSION") return print_version();
  bool known = command == "ADD" || command == "DEL" || command == "CHECK";
  if (!known) return fail("", kErrorEnvironment, "unknown CNI_COMMAND: " + command);
  std::string missing;
  for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"}) {
    bool needed = command != "DEL" || std::string_view(name) != "CNI_NETNS";
    if (needed && variable(name).empty()) missing += (missing.empty() ? "" : ",") + std::string(name);
  }
  if (!missing.empty()) return fail("", kErrorEnvironment, "required env variables [" + missing + "] missing");
  std::string id = variable("CNI_CONTAINERID");
  if (!is_safe_id(id)) return fail("", kErrorEnvironment, "invalid characters in containerID");
  auto input = read_all(STDIN_FILENO);
  if (!input.ok()) return fail("", kErrorInternal, input.status().message());
  auto config = parse_plugin_config(*input);
  if (!config.ok()) return fail("", kErrorInternal, (command == "ADD" ? "failed to load flannel netconf file: " : "") + std::string(config.status().message()));
  const std::string& version = config->cni_version;
  if (!version.empty() && std::find(std::begin(kVersions), std::end(kVersions), version) == std::end(kVersions))
    return fail("", kErrorVersion, fmt::format("incompatible CNI versions; config is \"{}\", plugin supports [\"0.1.0\" \"0.2.0\" \"0.3.0\" \"0.3.1\" \"0.4.0\" \"1.0.0\"]", version));
  if (command == "CHECK") return knows_check(version) ? 0 : fail(version, kErrorVersion, "config version does not allow CHECK");
  return command == "ADD" ? add(*config, id) : remove(*config, id);
}

}  // namespace knarr::flannel
