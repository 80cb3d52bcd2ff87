// SPDX-License-Identifier: Apache-2.0
#include "kubelet/image/image_gc.h"

#include <fmt/core.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>

#include "base/log.h"

namespace knarr::kubelet {
namespace {

constexpr Duration kPeriod = std::chrono::minutes(5);

bool is_used(const cri::Image& image, const std::set<std::string, std::less<>>& used) {
  if (used.contains(image.id.view())) return true;
  auto named = [&](const auto& names) { return std::any_of(names.begin(), names.end(), [&](const schema::Str& name) { return used.contains(name.view()); }); };
  return named(image.repo_tags) || named(image.repo_digests);
}

core::ObjectReference node_reference(const std::string& name) {
  core::ObjectReference about;
  about.kind = "Node";
  about.name = name;
  about.uid = name;
  return about;
}

}  // namespace

int64_t bytes_to_free(int64_t capacity, int64_t available, const ImageGcPolicy& policy) {
  available = std::min(available, capacity);
  if (capacity <= 0) return 0;
  auto percent_used = 100 - static_cast<int64_t>(static_cast<double>(available) * 100 / static_cast<double>(capacity));
  if (percent_used < policy.high_percent) return 0;
  return std::max<int64_t>(0, capacity / 100 * (100 - policy.low_percent) - available);
}

void ImageAges::look(const std::vector<cri::Image>& images, const std::set<std::string, std::less<>>& used, MonoTime now) {
  std::map<std::string, Record, std::less<>> present;
  for (const cri::Image& image : images) {
    auto before = records_.find(image.id.view());
    Record record;
    if (before != records_.end()) {
      record = before->second;
    } else {
      record.first_seen = looked_ ? now : MonoTime{};
    }
    record.size = static_cast<int64_t>(image.size);
    record.pinned = image.pinned;
    record.used = is_used(image, used);
    if (record.used) record.last_used = now;
    present.emplace(image.id.str(), record);
  }
  records_ = std::move(present);
  looked_ = true;
}

std::vector<ImageAges::Candidate> ImageAges::removable(MonoTime now, Duration min_age) const {
  std::vector<std::pair<Record, std::string>> found;
  for (const auto& [id, record] : records_) {
    if (record.used || record.pinned) continue;
    bool young = record.first_seen != MonoTime{} && now - record.first_seen < min_age;
    if (!young) found.emplace_back(record, id);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.last_used, a.first.first_seen) < std::tie(b.first.last_used, b.first.first_seen);
  });
  std::vector<Candidate> candidates;
  for (auto& [record, id] : found) candidates.push_back({id, record.size});
  return candidates;
}

struct ImageGc::Impl {
  Impl(Context& c, ImageGcPolicy p) : context(c), policy(std::move(p)), stopping(c.executor) {}
  Context& context;
  const ImageGcPolicy policy;
  Notifier stopping;
  ImageAges ages;
  bool stopped = false;

  static Task<Status> look(std::shared_ptr<Impl> self) {
    auto images = co_await self->context.images.list_images();
    if (!images.ok()) co_return images.status();
    cri::ContainerFilter all;
    auto containers = co_await self->context.runtime.list_containers(std::move(all));
    if (!containers.ok()) co_return containers.status();
    std::set<std::string, std::less<>> used = {self->policy.sandbox_image};
    for (const cri::Container& container : *containers) {
      used.insert(container.image_ref.str());
      if (container.image) used.insert(container.image->image.str());
    }
    self->ages.look(*images, used, self->context.clock.mono());
    co_return Status();
  }

  static Task<int64_t> free_space(std::shared_ptr<Impl> self, int64_t wanted) {
    Status looked = co_await look(self);
    if (!looked.ok()) co_return 0;
    int64_t freed = 0;
    std::vector<ImageAges::Candidate> candidates = self->ages.removable(self->context.clock.mono(), self->policy.min_age);
    for (size_t i = 0; i < candidates.size() && freed < wanted; ++i) {
      log_info("Removing image to free bytes", {{"imageID", candidates[i].id}, {"size", candidates[i].size}});
      cri::ImageSpec spec;
      spec.image = candidates[i].id;
      Status removed = co_await self->context.images.remove_image(std::move(spec));
      if (!removed.ok()) {
        log_warning("Could not remove an image", {{"imageID", candidates[i].id}, {"err", removed.message()}});
        continue;
      }
      self->ages.forget(candidates[i].id);
      freed += candidates[i].size;
    }
    co_return freed;
  }

  static Task<std::string> mount_point(std::shared_ptr<Impl> self) {
    auto info = co_await self->context.images.image_fs_info();
    if (!info.ok() || info->image_filesystems.empty() || !info->image_filesystems[0].fs_id) co_return std::string();
    co_return info->image_filesystems[0].fs_id->mountpoint.str();
  }

  static Task<void> collect(std::shared_ptr<Impl> self) {
    Status looked = co_await look(self);
    if (!looked.ok()) co_return;
    std::string path = co_await mount_point(self);
    struct statvfs disk {};
    if (path.empty() || ::statvfs(path.c_str(), &disk) != 0) co_return;
    int64_t capacity = static_cast<int64_t>(disk.f_blocks * disk.f_frsize), available = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
    core::ObjectReference about = node_reference(self->context.config.node_name);
    if (capacity == 0) {
      self->context.events.write(std::move(about), "Warning", "InvalidDiskCapacity", "invalid capacity 0 on image filesystem");
      co_return;
    }
    int64_t wanted = bytes_to_free(capacity, available, self->policy);
    if (wanted == 0) co_return;
    log_info("Disk usage on image filesystem is over the high threshold", {{"capacity", capacity}, {"available", available}, {"amountToFree", wanted}});
    int64_t freed = co_await free_space(self, wanted);
    if (freed >= wanted) co_return;
    std::string message = fmt::format(
        "Failed to garbage collect required amount of images. Attempted to free {} bytes, but only found {} bytes eligible to free.", wanted, freed);
    self->context.events.write(std::move(about), "Warning", "FreeDiskSpaceFailed", std::move(message));
  }

  static Task<void> run(std::shared_ptr<Impl> self) {
    while (!self->stopped) {
      co_await collect(self);
      Duration period = kPeriod;
      if (!self->stopped) co_await self->stopping.wait_for(period);
    }
  }
};

ImageGc::ImageGc(Context& context, ImageGcPolicy policy) : impl_(std::make_shared<Impl>(context, std::move(policy))) {}
ImageGc::~ImageGc() { stop(); }
void ImageGc::start() { spawn(impl_->context.executor, Impl::run(impl_)); }
void ImageGc::stop() {
  impl_->stopped = true;
  impl_->stopping.notify();
}
Task<void> ImageGc::delete_unused() {
  std::shared_ptr<Impl> impl = impl_;
  int64_t everything = std::numeric_limits<int64_t>::max();
  co_await Impl::free_space(std::move(impl), everything);
}
Task<std::string> ImageGc::mount_point() {
  std::shared_ptr<Impl> impl = impl_;
  return Impl::mount_point(std::move(impl));
}

}  // namespace knarr::kubelet
