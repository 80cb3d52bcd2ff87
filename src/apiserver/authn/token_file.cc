// SPDX-License-Identifier: Apache-2.0
// --token-auth-file: CSV of token,user,uid[,"group1,group2"]. Read once, as upstream does.
#include "apiserver/authn/authenticator.h"
#include "base/files.h"
#include "base/string_map.h"

namespace knarr::apiserver::authn {
namespace {

// The fields of one CSV line; quotes may enclose a field, doubled quotes stand for one.
std::vector<std::string> split_csv(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += '"';
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (!(fields.back().empty() && c == ' ' && !quoted)) {
      fields.back() += c;
    }
  }
  return fields;
}

class TokenFile final : public TokenSource {
 public:
  TokenFile(const Options& options, StringMap<User> users) : options_(options), users_(std::move(users)) {}
  TokenAnswer lookup(std::string_view token, const std::vector<std::string>& audiences) override {
    auto at = users_.find(token);
    return at == users_.end() ? TokenAnswer() : answer_for(at->second, audiences, options_);
  }

 private:
  const Options& options_;
  const StringMap<User> users_;
};

}  // namespace

Result<std::unique_ptr<TokenSource>> make_token_file(const Options& options) {
  const std::string& path = options.token_auth_file;
  TRY_ASSIGN(std::string text, read_file(path));
  StringMap<User> users;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> fields = split_csv(line);
    if (fields.size() < 3 || fields[0].empty()) return Status::error("token file '" + path + "' must have at least 3 columns (token, user name, user uid)");
    User user{fields[1], fields[2], {}, {}};
    if (fields.size() > 3) {
      std::string_view groups = fields[3];
      while (!groups.empty()) {
        size_t comma = groups.find(',');
        if (comma != 0) user.groups.emplace_back(groups.substr(0, comma));
        groups = comma == std::string_view::npos ? std::string_view() : groups.substr(comma + 1);
      }
    }
    users.insert_or_assign(fields[0], std::move(user));
  }
  return std::unique_ptr<TokenSource>(std::make_unique<TokenFile>(options, std::move(users)));
}

}  // namespace knarr::apiserver::authn
