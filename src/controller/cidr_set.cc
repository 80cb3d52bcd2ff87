// SPDX-License-Identifier: Apache-2.0
#include "controller/cidr_set.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace knarr::controller {
namespace {

using Wide = unsigned __int128;

Wide mask_of(int prefix, int bits) {
  Wide all = bits == 128 ? ~Wide{0} : (Wide{1} << bits) - 1;
  return prefix == 0 ? 0 : all & ~(prefix == bits ? Wide{0} : (Wide{1} << (bits - prefix)) - 1);
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  Status bad = Status::make(400, "BadRequest", "invalid CIDR address: " + std::string(text));
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return bad;
  std::string host(text.substr(0, slash));
  std::string_view size = text.substr(slash + 1);
  Cidr cidr;
  cidr.v6 = host.find(':') != std::string::npos;
  unsigned char bytes[16] = {};
  if (inet_pton(cidr.v6 ? AF_INET6 : AF_INET, host.c_str(), bytes) != 1) return bad;
  for (int i = 0; i < cidr.bits() / 8; ++i) cidr.address = cidr.address << 8 | bytes[i];
  auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), cidr.prefix);
  if (error != std::errc() || end != size.data() + size.size() || cidr.prefix < 0 || cidr.prefix > cidr.bits()) return bad;
  cidr.address &= mask_of(cidr.prefix, cidr.bits());
  return cidr;
}

std::string Cidr::to_string() const {
  unsigned char bytes[16] = {};
  Wide rest = address;
  for (int i = bits() / 8; i-- > 0; rest >>= 8) bytes[i] = static_cast<unsigned char>(rest & 0xff);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
  return std::string(text) + "/" + std::to_string(prefix);
}

bool Cidr::overlaps(const Cidr& other) const {
  if (v6 != other.v6) return false;
  Wide mask = mask_of(std::min(prefix, other.prefix), bits());
  return (address & mask) == (other.address & mask);
}

Result<CidrSet> CidrSet::make(const Cidr& range, int slice_prefix) {
  if (slice_prefix < range.prefix || slice_prefix > range.bits() || slice_prefix - range.prefix > 16)
    return Status::make(400, "BadRequest", "New CIDR set failed; the node CIDR size is too big");
  CidrSet set;
  set.range_ = range;
  set.slice_prefix_ = slice_prefix;
  set.used_.resize(size_t{1} << (slice_prefix - range.prefix));
  return set;
}

void CidrSet::mark(const Cidr& cidr, bool used) {
  if (!range_.overlaps(cidr)) return;
  int shift = range_.bits() - slice_prefix_;
  size_t first = 0, count = used_.size();
  if (cidr.prefix > range_.prefix) {
    Wide offset = cidr.address - range_.address;
    first = shift >= 128 ? 0 : static_cast<size_t>(offset >> shift);
    count = cidr.prefix >= slice_prefix_ ? 1 : size_t{1} << (slice_prefix_ - cidr.prefix);
  }
  for (size_t i = first; i < first + count && i < used_.size(); ++i) used_[i] = used;
}

void CidrSet::occupy(const Cidr& cidr) { mark(cidr, true); }
void CidrSet::release(const Cidr& cidr) { mark(cidr, false); }

std::optional<Cidr> CidrSet::allocate() {
  for (size_t i = 0; i < used_.size(); ++i) {
    size_t at = (next_ + i) % used_.size();
    if (used_[at]) continue;
    used_[at] = true;
    next_ = (at + 1) % used_.size();
    int shift = range_.bits() - slice_prefix_;
    Cidr cidr = range_;
    cidr.prefix = slice_prefix_;
    cidr.address += shift >= 128 ? 0 : static_cast<Wide>(at) << shift;
    return cidr;
  }
  return std::nullopt;
}

}  // namespace knarr::controller
