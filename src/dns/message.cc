// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <array>

namespace knarr::dns {
namespace {

constexpr size_t kOptSize = 11;

void put16(std::string* out, uint32_t value) {
  *out += static_cast<char>(value >> 8 & 0xff);
  *out += static_cast<char>(value & 0xff);
}
void put32(std::string* out, uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

// Where the ends of names have been written. Bounded, so that a long answer does not cost its square; what comes late goes uncompressed.
class Dictionary {
 public:
  // `wire` lives as long as the encoding does.
  void put_name(std::string_view wire, size_t start, std::string* out, bool may_point) {
    for (size_t at = 0; wire[at] != '\0'; at += 1 + static_cast<size_t>(wire[at])) {
      std::string_view suffix = wire.substr(at);
      if (may_point) {
        for (size_t i = 0; i < count_; ++i) {
          if (entries_[i].suffix != suffix) continue;
          put16(out, 0xc000u | entries_[i].offset);
          return;
        }
      }
      size_t offset = out->size() - start;
      if (count_ < entries_.size() && offset < 0x4000) entries_[count_++] = {suffix, static_cast<uint16_t>(offset)};
      out->append(suffix.substr(0, 1 + static_cast<size_t>(suffix[0])));
    }
    out->push_back('\0');
  }

 private:
  struct Entry {
    std::string_view suffix;
    uint16_t offset = 0;
  };
  std::array<Entry, 64> entries_;
  size_t count_ = 0;
};

class Encoder {
 public:
  Encoder(std::string* out, size_t start, size_t limit) : out_(out), start_(start), limit_(limit) {}

  void put(const Question& question) {
    dictionary_.put_name(question.name.wire(), start_, out_, true);
    put16(out_, question.type);
    put16(out_, question.klass);
  }
  // How many of the section fit.
  size_t put(const std::vector<Record>& section) {
    for (size_t i = 0; i < section.size(); ++i) {
      if (full_) return i;
      size_t before = out_->size();
      put(section[i]);
      if (out_->size() - start_ <= limit_) continue;
      out_->resize(before);
      full_ = true;
      return i;
    }
    return section.size();
  }
  bool full() const { return full_; }

 private:
  void put(const Record& record) {
    dictionary_.put_name(record.name.wire(), start_, out_, true);
    put16(out_, record.type);
    put16(out_, record.klass);
    put32(out_, record.ttl);
    size_t length_at = out_->size();
    put16(out_, 0);
    put_data(record);
    size_t length = out_->size() - length_at - 2;
    (*out_)[length_at] = static_cast<char>(length >> 8);
    (*out_)[length_at + 1] = static_cast<char>(length & 0xff);
  }
  // RFC 3597: only the types of RFC 1035 may point elsewhere.
  void put_data(const Record& record) {
    std::string_view data = record.data;
    bool one = (record.type == kNs || record.type == kCname || record.type == kPtr) && !data.empty();
    if (one) {
      dictionary_.put_name(data, start_, out_, true);
    } else if (record.type == kMx && data.size() > 2) {
      out_->append(data.substr(0, 2));
      dictionary_.put_name(data.substr(2), start_, out_, true);
    } else {
      out_->append(data);
    }
  }

  std::string* out_;
  size_t start_, limit_;
  Dictionary dictionary_;
  bool full_ = false;
};

uint16_t flags_of(const Message& message, bool truncated) {
  return static_cast<uint16_t>((message.response ? 0x8000 : 0) | (message.opcode & 0xf) << 11 | (message.authoritative ? 0x0400 : 0) |
                               (truncated ? 0x0200 : 0) | (message.recursion_desired ? 0x0100 : 0) |
                               (message.recursion_available ? 0x0080 : 0) | (message.authentic_data ? 0x0020 : 0) |
                               (message.checking_disabled ? 0x0010 : 0) | (message.rcode & 0xf));
}

struct Named {
  uint16_t value;
  std::string_view name;
};
constexpr Named kTypes[] = {{kA, "A"}, {kNs, "NS"}, {kCname, "CNAME"}, {kSoa, "SOA"}, {kPtr, "PTR"}, {kHinfo, "HINFO"}, {kMx, "MX"}, {kTxt, "TXT"},
                            {kAaaa, "AAAA"}, {kSrv, "SRV"}, {kDname, "DNAME"}, {kOpt, "OPT"}, {kDs, "DS"}, {kHttps, "HTTPS"}, {kIxfr, "IXFR"},
                            {kAxfr, "AXFR"}, {kAny, "ANY"}, {35, "NAPTR"}, {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"}, {64, "SVCB"}};
constexpr Named kRcodes[] = {{kNoError, "NOERROR"}, {kFormatError, "FORMERR"}, {kServerFailure, "SERVFAIL"}, {kNameError, "NXDOMAIN"},
                             {kNotImplemented, "NOTIMP"}, {kRefused, "REFUSED"}, {kBadVersion, "BADVERS"}};

}  // namespace

std::string type_text(uint16_t type) {
  for (const Named& known : kTypes)
    if (known.value == type) return std::string(known.name);
  return fmt::format("TYPE{}", type);
}

std::string rcode_text(uint16_t rcode) {
  for (const Named& known : kRcodes)
    if (known.value == rcode) return std::string(known.name);
  return fmt::format("RCODE{}", rcode);
}

void encode_message(const Message& message, size_t limit, std::string* out) {
  size_t start = out->size();
  out->resize(start + 12);
  Encoder encoder(out, start, message.edns ? limit - kOptSize : limit);
  for (const Question& question : message.questions) encoder.put(question);
  size_t counts[4] = {message.questions.size(), 0, 0, 0};
  counts[1] = encoder.put(message.answers);
  counts[2] = encoder.put(message.authorities);
  counts[3] = encoder.put(message.additionals);
  if (message.edns) {
    *out += '\0';
    put16(out, kOpt);
    put16(out, message.edns->udp_size);
    put32(out, static_cast<uint32_t>(message.rcode >> 4) << 24 | static_cast<uint32_t>(message.edns->version) << 16 |
                   (message.edns->dnssec_ok ? 0x8000u : 0u));
    put16(out, 0);
    ++counts[3];
  }
  std::string header;
  put16(&header, message.id);
  put16(&header, flags_of(message, message.truncated || encoder.full()));
  for (size_t count : counts) put16(&header, static_cast<uint32_t>(count));
  out->replace(start, header.size(), header);
}

Message reply_to(const Message& query, uint16_t rcode) {
  Message reply;
  reply.id = query.id;
  reply.opcode = query.opcode;
  reply.response = true;
  reply.recursion_desired = query.recursion_desired;
  reply.checking_disabled = query.checking_disabled;
  reply.rcode = rcode;
  reply.questions = query.questions;
  if (query.edns) {
    reply.edns = query.edns;
    reply.edns->version = 0;
  }
  return reply;
}

std::optional<Record> address_record(const Name& name, uint16_t type, uint32_t ttl, std::string_view address) {
  char bytes[sizeof(in6_addr)];
  std::string text(address);
  bool v6 = type == kAaaa;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes) != 1) return std::nullopt;
  return Record{name, type, kInternet, ttl, std::string(bytes, v6 ? sizeof(in6_addr) : sizeof(in_addr))};
}

Record name_record(const Name& name, uint16_t type, uint32_t ttl, const Name& target) {
  return Record{name, type, kInternet, ttl, target.wire()};
}

Record srv_record(const Name& name, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port, const Name& target) {
  Record record{name, kSrv, kInternet, ttl, {}};
  put16(&record.data, priority);
  put16(&record.data, weight);
  put16(&record.data, port);
  record.data += target.wire();
  return record;
}

Record txt_record(const Name& name, uint32_t ttl, std::string_view text) {
  Record record{name, kTxt, kInternet, ttl, {}};
  do {
    std::string_view part = text.substr(0, 255);
    record.data += static_cast<char>(part.size());
    record.data += part;
    text.remove_prefix(part.size());
  } while (!text.empty());
  return record;
}

Record soa_record(const Name& name, uint32_t ttl, const Soa& soa) {
  Record record{name, kSoa, kInternet, ttl, soa.primary.wire() + soa.mailbox.wire()};
  for (uint32_t field : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) put32(&record.data, field);
  return record;
}

uint32_t soa_minimum(const Record& soa) {
  if (soa.data.size() < 4) return 0;
  uint32_t minimum = 0;
  for (char c : std::string_view(soa.data).substr(soa.data.size() - 4)) minimum = minimum << 8 | static_cast<uint8_t>(c);
  return minimum;
}

}  // namespace knarr::dns
