// SPDX-License-Identifier: Apache-2.0
// DNS messages (RFC 1035, 2181, 2782, 6891): wire to values and back.
//
// Reading is for hostile input: at most 64 KiB, compression pointers only lead backwards, every name is bounded, nothing is trusted twice.
// Names inside the data of the record types that RFC 3597 allows to be compressed are unpacked, so that records can be put into another
// message; all other data is kept as it is. Values; no threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"

namespace knarr::dns {

enum RecordType : uint16_t {
  kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kHinfo = 13, kMx = 15, kTxt = 16, kAaaa = 28, kSrv = 33, kDname = 39, kOpt = 41,
  kDs = 43, kHttps = 65, kIxfr = 251, kAxfr = 252, kAny = 255,
};
inline constexpr uint16_t kInternet = 1;  // the class IN
enum Rcode : uint16_t { kNoError = 0, kFormatError = 1, kServerFailure = 2, kNameError = 3, kNotImplemented = 4, kRefused = 5, kBadVersion = 16 };

std::string type_text(uint16_t type);      // "AAAA", "TYPE4711"
std::string rcode_text(uint16_t rcode);    // "NXDOMAIN", "RCODE42"

struct Question {
  Name name;
  uint16_t type = kA;
  uint16_t klass = kInternet;
  friend bool operator==(const Question&, const Question&) = default;
};

struct Record {
  Name name;
  uint16_t type = 0;
  uint16_t klass = kInternet;
  uint32_t ttl = 0;
  std::string data;  // without compression
  friend bool operator==(const Record&, const Record&) = default;
};

// The OPT pseudo-record. Its options are not kept: the server has none to offer.
struct Edns {
  uint16_t udp_size = 512;
  uint8_t version = 0;
  bool dnssec_ok = false;
};

struct Message {
  uint16_t id = 0;
  uint8_t opcode = 0;  // 0 is a query
  uint16_t rcode = 0;  // with the upper bits of EDNS
  bool response = false, authoritative = false, truncated = false;
  bool recursion_desired = false, recursion_available = false, authentic_data = false, checking_disabled = false;
  std::vector<Question> questions;
  std::vector<Record> answers, authorities, additionals;
  std::optional<Edns> edns;
};

// What can be told from a header even when the rest is no message: for FORMERR answers.
std::optional<Message> parse_header(std::string_view wire);
Result<Message> parse_message(std::string_view wire);

// Within `limit` bytes: records that do not fit are left out and TC is set. Owner names and the names in data of RFC 1035's types are compressed.
// Appends to *out.
void encode_message(const Message& message, size_t limit, std::string* out);

// The answer to `query` so far: its id, question, opcode and RD, and an EDNS record when it had one.
Message reply_to(const Message& query, uint16_t rcode);

// Records. `address` is an IPv4 or IPv6 address in text; nullopt when it is none of that family.
std::optional<Record> address_record(const Name& name, uint16_t type, uint32_t ttl, std::string_view address);
Record name_record(const Name& name, uint16_t type, uint32_t ttl, const Name& target);  // CNAME, NS, PTR
Record srv_record(const Name& name, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port, const Name& target);
Record txt_record(const Name& name, uint32_t ttl, std::string_view text);
struct Soa {
  Name primary, mailbox;
  uint32_t serial = 0, refresh = 7200, retry = 1800, expire = 86400, minimum = 0;
};
Record soa_record(const Name& name, uint32_t ttl, const Soa& soa);
// The last field of an SOA's data: how long a denial may be kept.
uint32_t soa_minimum(const Record& soa);

}  // namespace knarr::dns
