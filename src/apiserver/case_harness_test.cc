// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "apiserver/case_harness.h"
#include "base/files.h"
#include "schema/codec.h"

namespace knarr::apiserver::testing {
namespace {

std::string substitute(std::string text, const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) {
    std::string mark = "${" + name + "}";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) text.replace(at, mark.size(), value);
  }
  return text;
}

const json::Value* at_path(const json::Value& root, std::string_view path) {
  const json::Value* value = &root;
  while (value != nullptr && !path.empty()) {
    size_t dot = path.find('.');
    std::string key(path.substr(0, dot));
    if (value->is_array()) {
      size_t index = static_cast<size_t>(std::atoi(key.c_str()));
      value = index < value->items().size() ? &value->items()[index] : nullptr;
    } else {
      value = value->find(key);
    }
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return value;
}

std::string text_of(const json::Value& value) { return value.is_string() ? std::string(value.as_string()) : json::to_string(value); }

client::ApiRequest make_request(const json::Value& step, const std::map<std::string, std::string>& variables) {
  client::ApiRequest request;
  std::string line = substitute(std::string(step.at({"do"}).as_string()), variables);
  size_t space = line.find(' ');
  request.method = line.substr(0, space);
  request.target = line.substr(space + 1);
  request.accept = step.find("accept") != nullptr ? std::string(step.at({"accept"}).as_string()) : "application/json";
  if (const json::Value* body = step.find("body")) {
    request.body = substitute(text_of(*body), variables);
    request.content_type = "application/json";
  }
  if (const json::Value* type = step.find("type")) request.content_type = type->as_string();
  request.user_agent = "api-cases/1";
  return request;
}

std::vector<std::string> warnings_of(const net::Headers& headers) {
  std::vector<std::string> warnings;
  for (const auto& [name, value] : headers.fields()) {
    if (name != "Warning" && name != "warning") continue;
    std::string text = value.substr(std::min(value.size(), std::string("299 - \"").size()));
    if (!text.empty()) text.pop_back();
    warnings.push_back(text);
  }
  return warnings;
}

std::string check_step(const json::Value& step, const client::ApiResponse& response, std::map<std::string, std::string>& variables) {
  std::string problems;
  int64_t code = step.find("code") != nullptr ? step.at({"code"}).as_int() : 200;
  if (response.status != code) problems += "  code " + std::to_string(response.status) + ", expected " + std::to_string(code) + "\n";
  auto parsed = json::parse(response.body);
  json::Value answer = parsed.ok() ? *parsed : json::Value(std::string_view(response.body));
  if (const json::Value* expect = step.find("expect")) {
    auto wanted = json::parse(substitute(json::to_string(*expect), variables));
    problems += difference(*wanted, answer, "");
  }
  if (const json::Value* absent = step.find("absent"))
    for (const json::Value& path : absent->items())
      if (at_path(answer, path.as_string()) != nullptr) problems += "  " + std::string(path.as_string()) + " is there\n";
  if (const json::Value* warnings = step.find("warnings")) {
    json::Value actual = json::Value::array();
    for (const std::string& warning : warnings_of(response.headers)) actual.push_back(std::string_view(warning));
    problems += difference(*warnings, actual, "warnings");
  }
  if (const json::Value* save = step.find("save")) {
    for (const auto& [name, path] : save->members()) {
      const json::Value* value = at_path(answer, path.as_string());
      if (value == nullptr) problems += "  nothing to save at " + std::string(path.as_string()) + "\n";
      else variables[std::string(name)] = text_of(*value);
    }
  }
  if (!problems.empty()) problems += "  answer: " + response.body.substr(0, 1500) + "\n";
  return problems;
}

}  // namespace

std::string difference(const json::Value& expected, const json::Value& actual, const std::string& path) {
  auto mismatch = [&] { return "  " + path + ": " + json::to_string(actual).substr(0, 400) + ", expected " + json::to_string(expected) + "\n"; };
  if (expected.is_object()) {
    if (!actual.is_object()) return mismatch();
    std::string problems;
    for (const auto& [key, value] : expected.members()) {
      const json::Value* found = actual.find(key);
      std::string name = path.empty() ? std::string(key) : path + "." + std::string(key);
      problems += found == nullptr ? "  " + name + " is missing\n" : difference(value, *found, name);
    }
    return problems;
  }
  if (expected.is_array()) {
    if (!actual.is_array() || actual.items().size() != expected.items().size()) return mismatch();
    std::string problems;
    for (size_t i = 0; i < expected.items().size(); ++i)
      problems += difference(expected.items()[i], actual.items()[i], path + "." + std::to_string(i));
    return problems;
  }
  if (expected.is_string() && std::string_view(expected.as_string()).starts_with("~"))
    return actual.is_string() && std::string_view(actual.as_string()).find(std::string_view(expected.as_string()).substr(1)) != std::string_view::npos ? "" : mismatch();
  return expected == actual ? "" : mismatch();
}

std::vector<CaseFile> load_cases(const std::string& folder) {
  std::vector<CaseFile> cases;
  auto names = list_dir(folder);
  EXPECT_TRUE(names.ok()) << folder;
  if (!names.ok()) return cases;
  for (const std::string& name : *names) {
    if (!name.ends_with(".yaml")) continue;
    auto text = read_file(folder + "/" + name);
    if (!text.ok()) continue;
    auto document = schema::yaml_to_json(*text);
    EXPECT_TRUE(document.ok()) << name << ": " << document.status().message();
    if (!document.ok()) continue;
    auto parsed = json::parse(*document);
    if (parsed.ok()) cases.push_back({name, std::move(*parsed)});
  }
  return cases;
}

Task<std::string> run_case(const CaseFile& file, client::Transport& transport) {
  std::map<std::string, std::string> variables;
  std::string problems;
  const json::Value& steps = file.document.at({"steps"});
  for (size_t i = 0; i < steps.items().size(); ++i) {
    const json::Value& step = steps.items()[i];
    client::ApiRequest request = make_request(step, variables);
    std::string line = request.method + " " + request.target;
    auto response = co_await transport.send(std::move(request));
    std::string found = response.ok() ? check_step(step, *response, variables) : "  " + std::string(response.status().message()) + "\n";
    if (!found.empty()) problems += file.name + " step " + std::to_string(i + 1) + ": " + line + "\n" + found;
  }
  co_return problems;
}

}  // namespace knarr::apiserver::testing
