// SPDX-License-Identifier: Apache-2.0
// Quantities, after apimachinery's pkg/api/resource. Text is canonicalised digit by digit, so that
// no size of number loses anything; arithmetic works on 128 bits of nano-units and saturates far
// above what any machine has.
#include "schema/quantity.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace knarr::schema {
namespace {

using Format = QuantityValue::Format;
using Wide = __int128;

constexpr Wide kWideMax = static_cast<Wide>((~static_cast<unsigned __int128>(0)) >> 1);
constexpr Wide kNanoPerUnit = 1000000000;
constexpr int kNano = -9;
// A longer exponent or number is hostile: nothing measurable needs it.
constexpr int64_t kMaxExponent = 1000000;

Status format_wrong() {
  return Status::make(400, "BadRequest",
                      "quantities must match the regular expression "
                      "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}
Status suffix_wrong() {
  return Status::make(400, "BadRequest", "unable to parse quantity's suffix");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The pieces of a quantity's text.
struct Parts {
  bool negative = false;
  std::string_view whole,
      fraction;             // digits; leading zeros of `whole` are gone, but for a lone "0"
  bool has_digits = false;  // "Ki" and "." have none
  int base = 10;
  int64_t exponent = 0;
  Format format = Format::kDecimalSI;
};

struct Suffix {
  std::string_view text;
  int base, exponent;
};
constexpr Suffix kSuffixes[] = {{"", 10, 0},   {"n", 10, -9}, {"u", 10, -6}, {"m", 10, -3},
                                {"k", 10, 3},  {"M", 10, 6},  {"G", 10, 9},  {"T", 10, 12},
                                {"P", 10, 15}, {"E", 10, 18}, {"Ki", 2, 10}, {"Mi", 2, 20},
                                {"Gi", 2, 30}, {"Ti", 2, 40}, {"Pi", 2, 50}, {"Ei", 2, 60}};

bool interpret_suffix(std::string_view text, Parts& parts) {
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.text != text) continue;
    parts.base = suffix.base;
    parts.exponent = suffix.exponent;
    parts.format = suffix.base == 2 ? Format::kBinarySI : Format::kDecimalSI;
    return true;
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return false;
  std::string_view digits = text.substr(1);
  if (digits[0] == '+') digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '+') return false;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parts.exponent);
  if (error != std::errc() || end != digits.data() + digits.size()) return false;
  parts.base = 10;
  parts.format = Format::kDecimalExponent;
  return parts.exponent >= -kMaxExponent && parts.exponent <= kMaxExponent;
}

// Below zero when upstream leaves int64 for big decimals.
int64_t precision(const Parts& parts) {
  auto whole = static_cast<int64_t>(parts.whole.size()),
       fraction = static_cast<int64_t>(parts.fraction.size());
  if (parts.format != Format::kBinarySI)
    return parts.exponent - fraction < kNano ? -1 : 18 - whole - fraction;
  return fraction != 0
             ? -1
             : 15 - whole - static_cast<int64_t>(static_cast<float>(parts.exponent) * 3 / 10) - 1;
}

Status split(std::string_view text, Parts& parts) {
  if (text.empty()) return format_wrong();
  size_t at = 0;
  if (text[0] == '-' || text[0] == '+') {
    parts.negative = text[0] == '-';
    at = 1;
  }
  while (at < text.size() && text[at] == '0') ++at;
  size_t from = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  parts.whole = text.substr(from, at - from);
  if (parts.whole.empty()) parts.whole = "0";
  if (at < text.size() && text[at] == '.') {
    from = ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
    parts.fraction = text.substr(from, at - from);
  }
  parts.has_digits = text.find_first_of("0123456789") < at;
  from = at;
  while (at < text.size() &&
         std::string_view("eEinumkKMGTP").find(text[at]) != std::string_view::npos)
    ++at;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  while (at < text.size() && is_digit(text[at])) ++at;
  if (at < text.size()) return format_wrong();
  if (!interpret_suffix(text.substr(from), parts)) return suffix_wrong();
  // No digits count as zero, but only where upstream parses them as an int64.
  if (!parts.has_digits && precision(parts) < 0)
    return Status::make(400, "BadRequest", "unable to parse numeric part of quantity");
  return {};
}

// A non-negative decimal number: digits (no leading zeros; "" is zero) times a power of ten.
struct Decimal {
  std::string digits;
  int64_t exponent = 0;

  void trim() {
    size_t zeros = digits.find_first_not_of('0');
    digits.erase(0, std::min(zeros, digits.size()));
    while (!digits.empty() && digits.back() == '0') {
      digits.pop_back();
      ++exponent;
    }
    if (digits.empty()) exponent = 0;
  }
  // Up to the next multiple of 10^-9.
  void round_up_to_nano() {
    if (exponent >= kNano) return;
    auto cut = static_cast<size_t>(
        std::min<int64_t>(kNano - exponent, static_cast<int64_t>(digits.size())));
    bool rest = digits.find_first_not_of('0', digits.size() - cut) != std::string::npos;
    digits.resize(digits.size() - cut);
    exponent = kNano;
    if (rest) increment();
    trim();
  }
  void increment() {
    for (size_t i = digits.size(); i-- > 0;) {
      if (digits[i] != '9') {
        ++digits[i];
        return;
      }
      digits[i] = '0';
    }
    digits.insert(digits.begin(), '1');
  }
  // In nano-units, saturating; exact for what was rounded before.
  Wide nanos() const {
    Wide value = 0;
    if (digits.empty()) return 0;
    int64_t zeros = exponent - kNano;
    if (static_cast<int64_t>(digits.size()) + zeros > 38) return kWideMax;
    for (char c : digits) value = value * 10 + (c - '0');
    for (; zeros > 0; --zeros) value *= 10;
    return value;
  }
};

std::string wide_text(Wide value) {
  std::string out;
  for (; value > 0; value /= 10)
    out.insert(out.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
  return out;
}

// 2^exponent times a decimal number, in nano-units rounded up, capped at 2^63-1 units as upstream
// caps it.
Wide binary_nanos(const Decimal& number, int64_t exponent) {
  constexpr Wide kCap = static_cast<Wide>(std::numeric_limits<int64_t>::max()) * kNanoPerUnit;
  // Whole and fraction apart: the fraction's digits past the 27th cannot matter, but for rounding
  // up.
  Decimal scaled = number;
  if (static_cast<int64_t>(scaled.digits.size()) + scaled.exponent > 20) return kCap;
  bool sticky = false;
  if (scaled.exponent < -17) {  // keeps value * 10^17 below 2^127 / 2^60 when the number is small;
                                // else saturates below
    auto cut = static_cast<size_t>(
        std::min<int64_t>(-17 - scaled.exponent, static_cast<int64_t>(scaled.digits.size())));
    sticky = true;
    scaled.digits.resize(scaled.digits.size() - cut);
    scaled.exponent = -17;
  }
  unsigned __int128 value = 0;
  for (char c : scaled.digits) {
    if (value > (static_cast<unsigned __int128>(1) << 120)) return kCap;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  int64_t ten = scaled.exponent + 9;  // the result is value * 2^exponent * 10^ten
  for (; ten > 0; --ten) {
    if (value > static_cast<unsigned __int128>(kCap)) return kCap;
    value *= 10;
  }
  if (value != 0 && value > (~static_cast<unsigned __int128>(0) >> exponent)) return kCap;
  value <<= exponent;
  for (; ten < 0; ++ten) {
    sticky = sticky || value % 10 != 0;
    value /= 10;
  }
  if (sticky) ++value;
  return value > static_cast<unsigned __int128>(kCap) ? kCap : static_cast<Wide>(value);
}

// Digits and power of ten as upstream writes them: an exponent that is a multiple of three, as
// large as leaves an integer.
std::string decimal_text(Decimal number, Format format, bool negative) {
  number.trim();
  if (number.digits.empty()) return "0";
  // The largest multiple of three that is not above the exponent.
  int64_t third = number.exponent >= 0 ? number.exponent / 3 : -((-number.exponent + 2) / 3);
  if (format != Format::kDecimalExponent)
    third = std::min<int64_t>(third, 6);  // beyond E upstream has no suffix to write
  int64_t zeros = number.exponent - third * 3;
  std::string out = negative ? "-" : "";
  out += number.digits;
  out.append(static_cast<size_t>(std::min<int64_t>(zeros, kMaxExponent)), '0');
  if (third == 0) return out;
  if (format == Format::kDecimalExponent) return out + "e" + std::to_string(third * 3);
  for (const Suffix& suffix : kSuffixes)
    if (suffix.base == 10 && suffix.exponent == third * 3) return out += suffix.text;
  return out;
}

std::string nano_text(Wide nanos, Format format) {
  bool negative = nanos < 0;
  Wide size = negative ? -nanos : nanos;
  if (format == Format::kBinarySI && (size < 1024 * kNanoPerUnit || size % kNanoPerUnit != 0))
    format = Format::kDecimalSI;
  if (format != Format::kBinarySI) return decimal_text({wide_text(size), kNano}, format, negative);
  Wide units = size / kNanoPerUnit;
  int power = 0;
  while (power < 6 && units % 1024 == 0) {
    units /= 1024;
    ++power;
  }
  static constexpr std::string_view kNames[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  return (negative ? "-" : "") + wide_text(units) + std::string(kNames[power]);
}

Wide saturating_add(Wide a, Wide b) {
  Wide sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return std::max(sum, -kWideMax);
  return a > 0 ? kWideMax : -kWideMax;
}

Decimal decimal_of(const Parts& parts) {
  Decimal number{std::string(parts.whole) + std::string(parts.fraction),
                 -static_cast<int64_t>(parts.fraction.size())};
  if (parts.base == 10) number.exponent += parts.exponent;
  number.trim();
  return number;
}

// Upstream keeps a text that is near enough to canonical as it came; this is its idea of near
// enough.
bool keeps_spelling(const Parts& parts) {
  if (precision(parts) < 0) return false;
  std::string shifted = std::string(parts.whole) + std::string(parts.fraction);
  if (parts.format == Format::kBinarySI)
    return parts.exponent % 10 == 0 && (std::stoll(shifted) & 7) != 0;
  int64_t scale = parts.exponent - static_cast<int64_t>(parts.fraction.size());
  return scale % 3 == 0 && !shifted.ends_with("000") && shifted[0] != '0';
}

}  // namespace

Result<QuantityValue> QuantityValue::parse(std::string_view text) {
  Parts parts;
  TRY(split(text, parts));
  QuantityValue value;
  value.format_ = parts.format;
  Decimal number = decimal_of(parts);
  if (parts.base == 2) {
    value.nano_ = binary_nanos(number, parts.exponent);
    if (value.nano_ < kNanoPerUnit && value.nano_ > 0) value.format_ = Format::kDecimalSI;
  } else {
    number.round_up_to_nano();
    value.nano_ = number.nanos();
  }
  if (parts.negative) value.nano_ = -value.nano_;
  return value;
}

QuantityValue QuantityValue::of(const Quantity& quantity) {
  Result<QuantityValue> parsed = parse(quantity.text);
  return parsed.ok() ? *parsed : QuantityValue();
}

QuantityValue QuantityValue::from_int(int64_t units, Format format) {
  QuantityValue value;
  value.nano_ = static_cast<Wide>(units) * kNanoPerUnit;
  value.format_ = format;
  return value;
}

QuantityValue QuantityValue::from_milli(int64_t milli, Format format) {
  QuantityValue value;
  value.nano_ = static_cast<Wide>(milli) * 1000000;
  value.format_ = format;
  return value;
}

namespace {
// Away from zero, as upstream rounds.
int64_t scaled(Wide nanos, Wide unit) {
  Wide quotient = nanos / unit;
  if (nanos % unit != 0) quotient += nanos > 0 ? 1 : -1;
  if (quotient > std::numeric_limits<int64_t>::max()) return std::numeric_limits<int64_t>::max();
  if (quotient < std::numeric_limits<int64_t>::min()) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(quotient);
}
}  // namespace

int64_t QuantityValue::value() const { return scaled(nano_, kNanoPerUnit); }
int64_t QuantityValue::milli_value() const { return scaled(nano_, 1000000); }
std::string QuantityValue::to_string() const {
  return nano_ == 0 ? "0" : nano_text(nano_, format_);
}

QuantityValue& QuantityValue::operator+=(const QuantityValue& other) {
  // Zero takes the format of what is added to it.
  if (nano_ == 0) format_ = other.format_;
  nano_ = saturating_add(nano_, other.nano_);
  return *this;
}

QuantityValue& QuantityValue::operator-=(const QuantityValue& other) {
  if (nano_ == 0) format_ = other.format_;
  nano_ = saturating_add(nano_, -other.nano_);
  return *this;
}

Result<std::string> canonical_quantity(std::string_view text) {
  if (text == "0") return std::string(text);
  Parts parts;
  TRY(split(text, parts));
  if (keeps_spelling(parts)) return std::string(text);
  if (parts.base == 2) {
    TRY_ASSIGN(QuantityValue value, QuantityValue::parse(text));
    return value.to_string();
  }
  Decimal number = decimal_of(parts);
  number.round_up_to_nano();
  return decimal_text(std::move(number), parts.format, parts.negative);
}

}  // namespace knarr::schema
