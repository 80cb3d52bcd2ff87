// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "schema/selector.h"

namespace knarr::schema {
namespace {

Status bad_request(std::string_view text) { return Status::make(400, "BadRequest", text); }

// Pieces between commas that no backslash precedes; backslashes stay.
std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> terms;
  size_t from = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ',') {
      terms.push_back(text.substr(from, i - from));
      from = i + 1;
    }
  }
  terms.push_back(text.substr(from));
  return terms;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == ',' || c == '=')
      return bad_request("invalid field selector: unescaped character in value: " +
                         std::to_string(static_cast<int>(c)));
    if (c == '\\') {
      if (i + 1 >= text.size())
        return bad_request("invalid field selector: invalid escape sequence: \\");
      c = text[++i];
      if (c != '\\' && c != ',' && c != '=')
        return bad_request("invalid field selector: invalid escape sequence: \\" +
                           std::string(1, c));
    }
    out += c;
  }
  return out;
}

}  // namespace

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector selector;
  std::vector<std::string_view> parts = split_terms(text);
  std::sort(parts.begin(), parts.end());
  for (std::string_view part : parts) {
    if (part.empty()) continue;
    size_t at = 0;
    while (at < part.size() && part[at] != '=' &&
           !(part[at] == '!' && at + 1 < part.size() && part[at + 1] == '='))
      ++at;
    if (at == part.size())
      return bad_request("invalid selector: '" + std::string(text) + "'; can't understand '" +
                         std::string(part) + "'");
    Term term;
    term.field = part.substr(0, at);
    term.equal = part[at] == '=';
    bool two = !term.equal || (at + 1 < part.size() && part[at + 1] == '=');
    TRY_ASSIGN(term.value, unescape(part.substr(at + (two ? 2 : 1))));
    // A term of nothing restricts nothing.
    if (!term.field.empty() || !term.value.empty()) selector.terms_.push_back(std::move(term));
  }
  return selector;
}

const std::string* FieldSelector::required_value(std::string_view field) const {
  for (const Term& term : terms_)
    if (term.equal && term.field == field) return &term.value;
  return nullptr;
}

std::string FieldSelector::to_string() const {
  std::string out;
  for (const Term& term : terms_) {
    if (!out.empty()) out += ',';
    out += term.field;
    out += term.equal ? "=" : "!=";
    for (char c : term.value) {
      if (c == '\\' || c == ',' || c == '=') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace knarr::schema
