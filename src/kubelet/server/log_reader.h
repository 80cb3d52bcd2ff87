// SPDX-License-Identifier: Apache-2.0
// Streams a container's log file to a client: the end of it, or all, and with `follow` what is
// added until the container has stopped.
//
// Waiting is by events (the file's folder, the container's exit, the client's leave). When the file
// is rotated, the old one is read to its end before the new one is taken up. File reads run on the
// blocking pool. One executor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "kubelet/server/folder_watch.h"
#include "kubelet/server/log_line.h"

namespace knarr::kubelet {

// What a reader that follows waits for besides the file.
struct LogFollow {
  explicit LogFollow(const Executor& executor) : wake(executor) {}
  Notifier wake;         // any of these has changed
  bool stopped = false;  // the container runs no more: read to the end and finish
  bool client_gone = false;
  bool changed = false;   // the file may have grown
  bool replaced = false;  // another file has its name
};

// Where the bytes go; a failure ends the reading.
using LogSink = std::function<Task<Status>(std::string bytes)>;

// Fails when the file cannot be opened; a reader that has begun ends with OK, also when the client
// leaves.
Task<Status> stream_log(std::string path, LogOptions options, std::shared_ptr<LogFollow> follow,
                        FolderWatcher* watcher, LogSink sink);

// Offset at which the last `lines` lines of the file begin; 0 when it has fewer. Blocking.
Result<int64_t> find_tail(int fd, int64_t lines);

}  // namespace knarr::kubelet
