// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <cstdio>

#include "cmd/commands.h"
#include "cmd/container_runtime.h"
#include "cmd/event_loops.h"

namespace knarr::cmd {
namespace {

Task<Status> load(std::string socket, std::vector<std::string> files) {
  for (const std::string& file : files) {
    std::string address = socket;
    auto imported = co_await import_image(std::move(address), file);
    CO_TRY(imported.status());
    std::fputs(imported->c_str(), stdout);
  }
  co_return Status();
}

}  // namespace

int image_main(int argc, char** argv) {
  CLI::App app("Container images of the cluster's node", "knarr image");
  app.require_subcommand(1);
  std::string data_dir = "/var/lib/knarr", endpoint;
  std::vector<std::string> files;
  CLI::App* load_command = app.add_subcommand("load", "Load images from OCI or docker archives");
  load_command->add_option("FILE", files, "archives made by `docker save`, `ctr images export` or the like")->required()->check(CLI::ExistingFile);
  load_command->add_option("--data-dir", data_dir, "of the `knarr up` whose containerd is meant");
  load_command->add_option("--container-runtime-endpoint", endpoint, "containerd's socket, when it is not knarr's own");
  CLI11_PARSE(app, argc, argv);
  std::string socket = endpoint.empty() ? data_dir + "/containerd/containerd.sock" : endpoint;
  if (socket.starts_with("unix://")) socket = socket.substr(7);
  EventLoops loops(0);
  return loops.run_once(load(std::move(socket), std::move(files)));
}

}  // namespace knarr::cmd
