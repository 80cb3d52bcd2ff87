// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "dns/message.h"

namespace knarr::dns {
namespace {

constexpr size_t kMaxMessage = 65535;
constexpr size_t kHeader = 12;

Status malformed(std::string_view what) { return Status::error("malformed DNS message: " + std::string(what)); }

class Reader {
 public:
  explicit Reader(std::string_view wire) : wire_(wire) {}

  size_t at() const { return at_; }
  size_t left() const { return wire_.size() - at_; }
  bool skip(size_t count) {
    if (left() < count) return false;
    at_ += count;
    return true;
  }
  bool u8(uint8_t* out) {
    if (left() < 1) return false;
    *out = static_cast<uint8_t>(wire_[at_++]);
    return true;
  }
  bool u16(uint16_t* out) {
    if (left() < 2) return false;
    *out = static_cast<uint16_t>(static_cast<uint8_t>(wire_[at_]) << 8 | static_cast<uint8_t>(wire_[at_ + 1]));
    at_ += 2;
    return true;
  }
  bool u32(uint32_t* out) {
    uint16_t high = 0, low = 0;
    if (!u16(&high) || !u16(&low)) return false;
    *out = static_cast<uint32_t>(high) << 16 | low;
    return true;
  }
  // A name that may be compressed. Each pointer must lead before the run of labels that it ends, so that a chain of them comes to an end.
  bool name(std::string* out) {
    size_t at = at_, run = at_;
    bool jumped = false;
    while (at < wire_.size()) {
      auto length = static_cast<uint8_t>(wire_[at]);
      if (length == 0) {
        out->push_back('\0');
        if (!jumped) at_ = at + 1;
        return out->size() <= kMaxName;
      }
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= wire_.size()) return false;
        size_t target = (length & 0x3fu) << 8 | static_cast<uint8_t>(wire_[at + 1]);
        if (!jumped) at_ = at + 2;
        jumped = true;
        if (target < kHeader || target >= run) return false;
        at = run = target;
        continue;
      }
      if (length > kMaxLabel || wire_.size() - at <= length || out->size() + 1 + length >= kMaxName) return false;
      out->append(wire_.substr(at, 1 + size_t{length}));
      at += 1 + size_t{length};
    }
    return false;
  }
  bool bytes(size_t count, std::string* out) {
    if (left() < count) return false;
    out->append(wire_.substr(at_, count));
    at_ += count;
    return true;
  }

 private:
  std::string_view wire_;
  size_t at_ = 0;
};

// How the data of a type is laid out when it holds names: `before` bytes, `names` names, `after` bytes.
struct DataLayout {
  size_t before, names, after;
};
std::optional<DataLayout> layout_of(uint16_t type) {
  switch (type) {
    case kNs: case kCname: case kPtr: case kDname: return DataLayout{0, 1, 0};
    case kMx: return DataLayout{2, 1, 0};
    case kSrv: return DataLayout{6, 1, 0};
    case kSoa: return DataLayout{0, 2, 20};
    default: return std::nullopt;
  }
}

bool read_data(Reader* reader, uint16_t type, size_t length, std::string* out) {
  auto layout = layout_of(type);
  // Names may point backwards out of the data, but what stands here ends with it.
  if (!layout || length == 0) return reader->bytes(length, out);
  size_t end = reader->at() + length;
  if (reader->left() < length || !reader->bytes(std::min(layout->before, length), out)) return false;
  for (size_t i = 0; i < layout->names; ++i) {
    std::string name;
    if (!reader->name(&name) || reader->at() > end) return false;
    out->append(name);
  }
  return end - reader->at() == layout->after && reader->bytes(layout->after, out);
}

Result<Record> read_record(Reader* reader) {
  Record record;
  std::string name;
  uint16_t length = 0;
  if (!reader->name(&name) || !reader->u16(&record.type) || !reader->u16(&record.klass) || !reader->u32(&record.ttl) || !reader->u16(&length))
    return malformed("a record is cut off");
  record.name = Name::from_wire(std::move(name));
  if (!read_data(reader, record.type, length, &record.data)) return malformed("data of a " + type_text(record.type) + " record");
  return record;
}

Status read_section(Reader* reader, size_t count, Message* message, std::vector<Record>* section) {
  for (size_t i = 0; i < count; ++i) {
    TRY_ASSIGN(Record record, read_record(reader));
    if (record.type != kOpt) {
      section->push_back(std::move(record));
      continue;
    }
    if (section != &message->additionals || message->edns || !record.name.is_root()) return malformed("a misplaced OPT record");
    Edns edns;
    edns.udp_size = std::max<uint16_t>(record.klass, 512);
    edns.version = static_cast<uint8_t>(record.ttl >> 16);
    edns.dnssec_ok = (record.ttl & 0x8000) != 0;
    message->rcode = static_cast<uint16_t>(message->rcode | (record.ttl >> 24) << 4);
    message->edns = edns;
  }
  return {};
}

}  // namespace

std::optional<Message> parse_header(std::string_view wire) {
  Reader reader(wire);
  Message message;
  uint16_t flags = 0;
  if (wire.size() < kHeader || !reader.u16(&message.id) || !reader.u16(&flags)) return std::nullopt;
  message.response = (flags & 0x8000) != 0;
  message.opcode = static_cast<uint8_t>(flags >> 11 & 0xf);
  message.authoritative = (flags & 0x0400) != 0;
  message.truncated = (flags & 0x0200) != 0;
  message.recursion_desired = (flags & 0x0100) != 0;
  message.recursion_available = (flags & 0x0080) != 0;
  message.authentic_data = (flags & 0x0020) != 0;
  message.checking_disabled = (flags & 0x0010) != 0;
  message.rcode = flags & 0xf;
  return message;
}

Result<Message> parse_message(std::string_view wire) {
  if (wire.size() > kMaxMessage) return malformed("more than 64 KiB");
  std::optional<Message> header = parse_header(wire);
  if (!header) return malformed("the header is cut off");
  Message message = std::move(*header);
  Reader reader(wire);
  uint16_t counts[4] = {};
  (void)reader.skip(4);
  for (uint16_t& count : counts) (void)reader.u16(&count);
  for (size_t i = 0; i < counts[0]; ++i) {
    Question question;
    std::string name;
    if (!reader.name(&name) || !reader.u16(&question.type) || !reader.u16(&question.klass)) return malformed("a question is cut off");
    question.name = Name::from_wire(std::move(name));
    message.questions.push_back(std::move(question));
  }
  TRY(read_section(&reader, counts[1], &message, &message.answers));
  TRY(read_section(&reader, counts[2], &message, &message.authorities));
  TRY(read_section(&reader, counts[3], &message, &message.additionals));
  return message;
}

}  // namespace knarr::dns
