// SPDX-License-Identifier: Apache-2.0
// Objects for this module's tests.
#pragma once

#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/model.h"
#include "schema/codec.h"

namespace knarr::proxy {

template <class T>
std::shared_ptr<const T> from_yaml(std::string_view yaml) {
  auto value = std::make_shared<T>();
  auto text = schema::yaml_to_json(yaml);
  KNARR_CHECK(text.ok());
  Status status = schema::decode_json(*text, T::table(), value.get());
  KNARR_CHECK(status.ok());
  return value;
}

inline ServicePtr service(std::string_view name, std::string_view spec, std::string_view more = "") {
  std::string yaml = "{metadata: {namespace: ns1, name: " + std::string(name) + "}, spec: {ipFamilies: [IPv4], " + std::string(spec) + "}" +
                     (more.empty() ? "" : ", " + std::string(more)) + "}";
  return from_yaml<api::core_v1::Service>(yaml);
}

// `endpoints`: a YAML list.
inline SlicePtr slice(std::string_view name, std::string_view service, std::string_view port, std::string_view endpoints) {
  std::string yaml = "{metadata: {namespace: ns1, name: " + std::string(name) + ", labels: {kubernetes.io/service-name: " + std::string(service) +
                     "}}, addressType: IPv4, ports: [" + std::string(port) + "], endpoints: [" + std::string(endpoints) + "]}";
  return from_yaml<api::discovery_v1::EndpointSlice>(yaml);
}

inline ServiceObjects objects(ServicePtr service, std::initializer_list<SlicePtr> slices) {
  ServiceObjects made;
  made.service = std::move(service);
  for (const SlicePtr& one : slices) made.slices[one->metadata.name.str()] = one;
  return made;
}

// Runs a task to its end.
template <class T>
T run(Task<T> task) {
  boost::asio::io_context context;
  std::optional<T> result;
  auto wrap = [](Task<T> inner, std::optional<T>* out) -> Task<void> { *out = co_await std::move(inner); };
  spawn(context.get_executor(), wrap(std::move(task), &result));
  context.run();
  return std::move(*result);
}

}  // namespace knarr::proxy
