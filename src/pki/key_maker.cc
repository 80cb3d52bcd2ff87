// SPDX-License-Identifier: Apache-2.0
#include "pki/key_maker.h"

#include <algorithm>

#include "pki/rsa_key.h"

namespace knarr::pki {

KeyMaker::~KeyMaker() {
  stopped_ = true;
  for (std::thread& thread : threads_) thread.join();
}

void KeyMaker::start(size_t count) {
  wanted_ = coming_ = count;
  size_t processors = std::max(1U, std::thread::hardware_concurrency());
  for (size_t i = 0; i < std::min(processors, count); ++i) threads_.emplace_back([this] { work(); });
}

void KeyMaker::work() {
  std::unique_lock lock(mutex_);
  while (wanted_ > 0 && !stopped_) {
    --wanted_;
    lock.unlock();
    auto key = make_rsa_key_pem(stopped_);
    lock.lock();
    --coming_;
    // Whoever waits for one that failed makes its own, and hears why if that fails as well.
    if (key.ok()) ready_.push_back(std::move(*key));
    made_.notify_one();
  }
}

Result<std::string> KeyMaker::take() {
  std::unique_lock lock(mutex_);
  made_.wait(lock, [this] { return !ready_.empty() || coming_ == 0; });
  if (ready_.empty()) {
    lock.unlock();
    return make_rsa_key_pem(stopped_);
  }
  std::string key = std::move(ready_.front());
  ready_.pop_front();
  return key;
}

}  // namespace knarr::pki
