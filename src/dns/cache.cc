// SPDX-License-Identifier: Apache-2.0
#include "dns/cache.h"

#include <algorithm>

namespace knarr::dns {
namespace {

constexpr uint32_t kMinTtl = 5, kMaxTtl = 3600;

// Answers differ by DO and CD, too.
std::string key_of(const Message& query) {
  const Question& question = query.questions.front();
  std::string key = question.name.key();
  key += static_cast<char>(question.type >> 8);
  key += static_cast<char>(question.type & 0xff);
  key += static_cast<char>((query.edns && query.edns->dnssec_ok ? 1 : 0) | (query.checking_disabled ? 2 : 0));
  return key;
}

bool is_denial(const Message& answer) { return answer.rcode != kNoError || answer.answers.empty(); }

template <class Visit>
void for_each_record(Message& message, Visit visit) {
  for (auto* section : {&message.answers, &message.authorities, &message.additionals})
    for (Record& record : *section) visit(record);
}

}  // namespace

uint32_t cacheable_seconds(const Message& answer, const CacheOptions& options) {
  if (answer.truncated || answer.questions.size() != 1) return 0;
  if (answer.rcode == kServerFailure) return kMinTtl;
  if (answer.rcode != kNoError && answer.rcode != kNameError) return 0;
  uint32_t ttl = kMaxTtl;
  bool denial = is_denial(answer), any = false;
  for (const auto* section : {&answer.answers, &answer.authorities, &answer.additionals}) {
    for (const Record& record : *section) {
      any = true;
      ttl = std::min(ttl, record.ttl);
      if (denial && record.type == kSoa) ttl = std::min(ttl, soa_minimum(record));
    }
  }
  if (!any) ttl = kMinTtl;
  uint32_t most = denial ? options.max_denial_ttl_seconds : options.max_ttl_seconds;
  return std::min(std::max(ttl, kMinTtl), most);
}

AnswerCache::Entry* AnswerCache::Half::find(const std::string& key, MonoTime now) {
  auto found = entries.find(key);
  if (found == entries.end()) return nullptr;
  if (found->second.expires <= now) {
    erase(key);
    return nullptr;
  }
  recent.splice(recent.begin(), recent, found->second.order);
  return &found->second;
}

void AnswerCache::Half::erase(const std::string& key) {
  auto found = entries.find(key);
  if (found == entries.end()) return;
  auto order = found->second.order;
  entries.erase(found);
  recent.erase(order);
}

void AnswerCache::Half::put(std::string key, Entry entry, size_t capacity) {
  erase(key);
  while (!recent.empty() && entries.size() >= capacity) {
    entries.erase(recent.back());
    recent.pop_back();
  }
  recent.push_front(key);
  entry.order = recent.begin();
  entries.emplace(std::move(key), std::move(entry));
}

std::optional<Message> AnswerCache::get(const Message& query) {
  std::string key = key_of(query);
  MonoTime now = clock_.mono();
  Entry* entry = positives_.find(key, now);
  if (entry == nullptr) entry = denials_.find(key, now);
  if (entry == nullptr) {
    ++misses_;
    return std::nullopt;
  }
  ++hits_;
  const Message& kept = entry->answer;
  Message answer = reply_to(query, kept.rcode);
  // Some clients drop what is not authoritative.
  answer.authoritative = true;
  answer.recursion_available = kept.recursion_available;
  answer.authentic_data = kept.authentic_data && ((query.edns && query.edns->dnssec_ok) || query.authentic_data);
  answer.answers = kept.answers;
  answer.authorities = kept.authorities;
  answer.additionals = kept.additionals;
  auto age = static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - entry->stored).count());
  for_each_record(answer, [age](Record& record) { record.ttl = record.ttl > age ? record.ttl - age : 0; });
  return answer;
}

void AnswerCache::put(const Message& query, Message* answer) {
  uint32_t seconds = cacheable_seconds(*answer, options_);
  if (seconds == 0 || answer->questions != query.questions) return;
  for_each_record(*answer, [seconds](Record& record) { record.ttl = seconds; });
  std::string key = key_of(query);
  Half& half = is_denial(*answer) ? denials_ : positives_;
  (&half == &denials_ ? positives_ : denials_).erase(key);
  MonoTime now = clock_.mono();
  half.put(std::move(key), Entry{*answer, now, now + std::chrono::seconds(seconds), {}}, options_.capacity);
}

}  // namespace knarr::dns
