// SPDX-License-Identifier: Apache-2.0
// Where upstream's test material lies: in its Go modules, which the go command fetches.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "schema/json.h"

namespace knarr {

inline bool have_go() { return std::system("command -v go > /dev/null 2>&1") == 0; }

// The folder of a module ("k8s.io/api@v0.28.4"); "" when there is no go command or it cannot get
// the module.
inline std::string go_module_folder(const std::string& module) {
  if (!have_go()) return "";
  FILE* pipe = popen(("cd / && go mod download -json " + module + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  char buffer[4096];
  while (size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  pclose(pipe);
  Result<json::Value> answer = json::parse(output);
  return answer.ok() ? answer->at({"Dir"}).as_string() : "";
}

inline std::string read_whole_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace knarr
