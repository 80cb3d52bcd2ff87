// SPDX-License-Identifier: Apache-2.0
#include "kubelet/image/image_puller.h"

#include <fmt/core.h>

#include "kubelet/image/credentials.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace {

std::string quoted(std::string_view text) {
  std::string out;
  json::write_string(out, text);
  return out;
}

bool should_pull(const core::Container& container, bool present) {
  if (container.image_pull_policy == "Never") return false;
  return container.image_pull_policy == "Always" || !present;
}

ImageUser user_of(const cri::Image& image) {
  ImageUser user;
  if (image.uid) {
    user.uid = image.uid->value;
  } else if (!image.username.empty()) {
    user.name = image.username.str();
  } else {
    user.uid = 0;
  }
  return user;
}

// How a failed pull shows: registries that are down and bad signatures have reasons of their own.
void explain(const core::Container& container, std::string_view error, ImagePuller::Outcome& outcome) {
  struct Known {
    std::string_view prefix, text;
  };
  constexpr Known kKnown[] = {{"RegistryUnavailable", "the registry is unavailable"}, {"SignatureValidationFailed", "the signature validation failed"}};
  for (const Known& known : kKnown) {
    if (error.substr(0, known.prefix.size()) != known.prefix) continue;
    outcome.failure = known.prefix;
    outcome.message = fmt::format("image pull failed for {} because {}{}", container.image.view(), known.text, error.substr(known.prefix.size()));
    return;
  }
  outcome.failure = "ErrImagePull";
  outcome.message = error;
}

std::string milliseconds(Duration duration) {
  return schema::format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() * 1000000);
}

// gRPC errors as Go prints them.
std::string rpc_text(const Status& status) { return fmt::format("rpc error: code = {} desc = {}", status.reason(), status.message()); }

}  // namespace

ImagePuller::ImagePuller(Context& context) : context_(context), one_at_a_time_(context.executor) {}

Task<Result<std::string>> ImagePuller::pull(PodPtr pod, std::string image, cri::ImageSpec spec, cri::PodSandboxConfig sandbox) {
  std::vector<SecretPtr> secrets;
  for (const core::LocalObjectReference& reference : pod->spec.image_pull_secrets) {
    std::string ns = pod->metadata.namespace_.str(), name = reference.name.str();
    auto secret = co_await context_.objects.secret(std::move(ns), std::move(name));
    if (secret.ok()) secrets.push_back(*secret);  // a missing one is not an error: the image may be public
  }
  std::vector<cri::AuthConfig> auths;
  if (auto name = parse_image_name(image); name.ok()) auths = credentials_for(*name, secrets);
  if (auths.empty()) auths.emplace_back();
  Status last;
  for (const cri::AuthConfig& auth : auths) {
    cri::ImageSpec one_spec = spec;
    cri::AuthConfig one_auth = auth;
    cri::PodSandboxConfig one_sandbox = sandbox;
    auto result = co_await context_.images.pull_image(std::move(one_spec), std::move(one_auth), std::move(one_sandbox));
    if (result.ok()) co_return result;
    last = result.status();
  }
  co_return last;
}

Task<ImagePuller::Outcome> ImagePuller::ensure(PodPtr pod, const core::Container* container, cri::PodSandboxConfig sandbox) {
  Outcome outcome;
  std::string name = container->name.str(), image = container->image.str();
  auto tagged = with_default_tag(image);
  if (!tagged.ok()) {
    outcome.failure = "InvalidImageName";
    outcome.message = fmt::format("Failed to apply default image tag {}: {}", quoted(image), tagged.status().message());
    context_.events.container(*pod, name, "Warning", "InspectFailed", outcome.message);
    co_return outcome;
  }
  cri::ImageSpec spec;
  spec.image = *tagged;
  spec.annotations = pod->metadata.annotations;
  cri::ImageSpec query = spec;
  auto found = co_await context_.images.image_status(std::move(query));
  if (!found.ok()) {
    outcome.failure = "ImageInspectError";
    outcome.message = fmt::format("Failed to inspect image {}: {}", quoted(image), rpc_text(found.status()));
    context_.events.container(*pod, name, "Warning", "InspectFailed", outcome.message);
    co_return outcome;
  }
  bool present = !found->id.empty();
  if (!should_pull(*container, present)) {
    if (present) {
      outcome.image_ref = found->id.str();
      outcome.user = user_of(*found);
      context_.events.container(*pod, name, "Normal", "Pulled", fmt::format("Container image {} already present on machine", quoted(image)));
      co_return outcome;
    }
    outcome.failure = "ErrImageNeverPull";
    outcome.message = fmt::format("Container image {} is not present with pull policy of Never", quoted(image));
    context_.events.container(*pod, name, "Warning", "ErrImageNeverPull", outcome.message);
    co_return outcome;
  }

  std::string key = pod->metadata.uid.str() + "_" + image;
  if (Duration wait = context_.image_backoff.remaining_since_update(key); wait > Duration::zero()) {
    outcome.failure = "ImagePullBackOff";
    outcome.message = fmt::format("Back-off pulling image {}", quoted(image));
    outcome.retry_after = wait;
    context_.events.container(*pod, name, "Normal", "BackOff", outcome.message);
    co_return outcome;
  }
  context_.events.container(*pod, name, "Normal", "Pulling", fmt::format("Pulling image {}", quoted(image)));
  MonoTime queued = context_.clock.mono();
  if (context_.config.serialize_image_pulls) co_await one_at_a_time_.lock();
  MonoTime started = context_.clock.mono();
  auto pulled = co_await pull(pod, image, spec, std::move(sandbox));
  if (context_.config.serialize_image_pulls) one_at_a_time_.unlock();
  MonoTime ended = context_.clock.mono();
  if (!pulled.ok()) {
    std::string error = rpc_text(pulled.status());
    context_.events.container(*pod, name, "Warning", "Failed", fmt::format("Failed to pull image {}: {}", quoted(image), error));
    context_.image_backoff.next(key, context_.clock.now());
    explain(*container, error, outcome);
    // Half way through the back-off the pod shows that it is in one.
    outcome.retry_after = context_.image_backoff.delay(key) / 2;
    co_return outcome;
  }
  context_.events.container(*pod, name, "Normal", "Pulled",
                            fmt::format("Successfully pulled image {} in {} ({} including waiting)", quoted(image), milliseconds(ended - started),
                                        milliseconds(ended - queued)));
  context_.image_backoff.collect_garbage();
  outcome.image_ref = *pulled;
  outcome.pulled = true;
  auto now_there = co_await context_.images.image_status(std::move(spec));
  outcome.user.uid = 0;
  if (now_there.ok() && !now_there->id.empty()) outcome.user = user_of(*now_there);
  co_return outcome;
}

}  // namespace knarr::kubelet
