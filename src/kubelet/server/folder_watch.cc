// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <list>
#include <map>

namespace knarr::kubelet {

struct FolderWatcher::Impl : std::enable_shared_from_this<FolderWatcher::Impl> {
  using Callback = std::function<void(const FolderChange&)>;
  struct Watcher {
    Callback changed;
    bool dropped = false;
  };
  // All watchers of one folder share the kernel's watch, and so its mask.
  struct Folder {
    std::list<std::shared_ptr<Watcher>> watchers;
  };

  explicit Impl(Executor executor) : descriptor(executor) {}

  Status open() {
    if (descriptor.is_open()) return {};
    int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return Status::from_errno("inotify_init", errno);
    descriptor.assign(fd);
    read_more();
    return {};
  }

  void read_more() {
    std::weak_ptr<Impl> weak = weak_from_this();
    descriptor.async_read_some(boost::asio::buffer(buffer),
                               [weak](const boost::system::error_code& error, size_t size) {
                                 std::shared_ptr<Impl> self = weak.lock();
                                 if (self == nullptr || error) return;
                                 self->deliver(size);
                                 self->read_more();
                               });
  }

  void deliver(size_t size) {
    size_t at = 0;
    while (at + sizeof(inotify_event) <= size) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      const char* name = buffer + at + sizeof event;
      at += sizeof event + event.len;
      if (at > size) return;
      FolderChange change;
      change.name =
          event.len > 0 ? std::string_view(name, ::strnlen(name, event.len)) : std::string_view();
      change.modified = (event.mask & IN_MODIFY) != 0;
      change.appeared = (event.mask & (IN_CREATE | IN_MOVED_TO)) != 0;
      change.gone = (event.mask &
                     (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        change.name = {};
        for (auto& [watch, folder] : std::map(folders)) notify(folder, change);
        continue;
      }
      auto folder = folders.find(event.wd);
      if (folder == folders.end()) continue;
      Folder copy = folder->second;  // a callback may drop watchers
      notify(copy, change);
      if ((event.mask & IN_IGNORED) != 0) folders.erase(event.wd);
    }
  }

  static void notify(const Folder& folder, const FolderChange& change) {
    for (const auto& watcher : folder.watchers)
      if (!watcher->dropped) watcher->changed(change);
  }

  void remove(int watch, const std::shared_ptr<Watcher>& watcher) {
    watcher->dropped = true;
    auto folder = folders.find(watch);
    if (folder == folders.end()) return;
    folder->second.watchers.remove(watcher);
    if (!folder->second.watchers.empty()) return;
    ::inotify_rm_watch(descriptor.native_handle(), watch);
    folders.erase(folder);
  }

  boost::asio::posix::basic_stream_descriptor<Executor> descriptor;
  std::map<int, Folder> folders;
  alignas(inotify_event) char buffer[16 << 10];
};

FolderWatcher::FolderWatcher(Executor executor)
    : impl_(std::make_shared<Impl>(std::move(executor))) {}
FolderWatcher::~FolderWatcher() {
  boost::system::error_code ignored;
  impl_->descriptor.close(ignored);
}

Result<std::shared_ptr<void>> FolderWatcher::watch(
    const std::string& folder, std::function<void(const FolderChange&)> changed) {
  TRY(impl_->open());
  uint32_t mask = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
                  IN_MOVE_SELF | IN_ONLYDIR;
  int watch = ::inotify_add_watch(impl_->descriptor.native_handle(), folder.c_str(), mask);
  if (watch < 0) return Status::from_errno("failed to watch " + folder, errno);
  auto watcher = std::make_shared<Impl::Watcher>();
  watcher->changed = std::move(changed);
  impl_->folders[watch].watchers.push_back(watcher);
  std::weak_ptr<Impl> weak = impl_;
  // The handle is a pointer whose deleter unsubscribes.
  return std::shared_ptr<void>(watcher.get(), [weak, watch, watcher](void*) {
    if (std::shared_ptr<Impl> impl = weak.lock()) impl->remove(watch, watcher);
  });
}

}  // namespace knarr::kubelet
