// SPDX-License-Identifier: Apache-2.0
// Every change of an etcd cluster in order, over as many connections as it takes.
//
// The watch covers the whole key space, not one prefix: then each revision shows up as an event, so that "everything up to revision N has been
// seen" is certain from events alone. etcd's progress notices, which would say the same of a narrower watch, may run ahead of events in the
// versions before 3.4.25 and 3.5.8 that are in use.
#pragma once

#include <memory>
#include <vector>

#include "base/task.h"
#include "etcd/members.h"
#include "etcd/wire.h"
#include "store/store.h"

namespace knarr::etcd {

class ChangeSink {
 public:
  virtual ~ChangeSink() = default;
  // Whole revisions, ascending. On the members' executor, as everything here.
  virtual void changes(std::vector<store::Event> events) = 0;
  // Asked after changes and failures: true ends the feed.
  virtual bool enough() const = 0;
};

// Puts fragments together: events of one answer that etcd cut into several.
class ChangeReader {
 public:
  // The events that are complete now; empty when more fragments follow or the message had none. 410 when the start is compacted.
  Result<std::vector<store::Event>> read(std::string_view message);

 private:
  std::vector<store::Event> pending_;
};

// Events after `after` until the sink has enough or the members close (both OK). 410 Expired when etcd has forgotten where to begin.
Task<Status> follow_changes(std::shared_ptr<Members> members, int64_t after, ChangeSink* sink);

}  // namespace knarr::etcd
