// SPDX-License-Identifier: Apache-2.0
// RSA keys made before they are asked for, on threads of their own: `kubeadm init` needs fifteen, each worth tens of milliseconds of a processor,
// and has other things to do first.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"

namespace knarr::pki {

// Owned by one thread, which calls all of these.
class KeyMaker {
 public:
  KeyMaker() = default;
  ~KeyMaker();  // gives up what is under way
  KeyMaker(const KeyMaker&) = delete;
  KeyMaker& operator=(const KeyMaker&) = delete;

  // Begins with `count` keys on as many threads as there are processors. Once.
  void start(size_t count);
  // A key of 2048 bits as PKCS#8 PEM: one that was made ahead, the next of those under way, or one made here and now.
  Result<std::string> take();

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable made_;
  std::deque<std::string> ready_;
  size_t wanted_ = 0, coming_ = 0;  // not begun; not in ready_ yet, begun or not
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> threads_;
};

}  // namespace knarr::pki
