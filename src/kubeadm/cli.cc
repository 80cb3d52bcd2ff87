// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/cli.h"

#include <algorithm>
#include <charconv>

#include "kubeadm/text.h"

namespace knarr::kubeadm {
namespace {

std::string trim_right(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

Status invalid_argument(const Flag& flag, const std::string& value, std::string_view why) {
  std::string shown = flag.shorthand.empty() ? "--" + flag.name : "-" + flag.shorthand + ", --" + flag.name;
  return Status::error("invalid argument " + quote(value) + " for " + quote(shown) + " flag: " + std::string(why));
}

std::string first_paragraph_of_flag(const Flag& flag) {
  std::string line = flag.shorthand.empty() ? "      --" + flag.name : "  -" + flag.shorthand + ", --" + flag.name;
  return flag.type.empty() ? line : line + " " + flag.type;
}

const Flag kHelp{"help", "h", "", "help for ", "", nullptr, true};

// The flags that a command takes: its own, then those of the commands above.
const Flag* find_flag(const Command& command, std::string_view name) {
  if (name == "help") return &kHelp;
  if (const Flag* own = command.flags.find(name)) return own;
  for (const Command* at = &command; at != nullptr; at = at->parent)
    if (const Flag* flag = at->inherited.find(name)) return flag;
  return nullptr;
}
const Flag* find_short_flag(const Command& command, char letter) {
  if (letter == 'h') return &kHelp;
  if (const Flag* own = command.flags.find_short(letter)) return own;
  for (const Command* at = &command; at != nullptr; at = at->parent)
    if (const Flag* flag = at->inherited.find_short(letter)) return flag;
  return nullptr;
}

// One flag of the command line, its value perhaps in the next word.
struct Given {
  const Flag* flag = nullptr;
  std::optional<std::string> value;
  std::string written;
};
Given read_flag(const Command& command, const std::string& word) {
  Given given;
  bool is_long = word.starts_with("--");
  std::string body = word.substr(is_long ? 2 : 1);
  size_t equals = body.find('=');
  if (is_long) {
    given.written = body.substr(0, equals);
    given.flag = find_flag(command, given.written);
    if (equals != std::string::npos) given.value = body.substr(equals + 1);
  } else {
    given.written = body;
    given.flag = find_short_flag(command, body[0]);
    if (body.size() > 1) given.value = body.substr(equals == 1 ? 2 : 1);
  }
  return given;
}

class Parser {
 public:
  Parser(const Command& root, const std::vector<std::string>& args) : command_(&root), args_(args) {}

  // Which command is meant; flags and arguments are left for parse().
  void find_command() {
    for (size_t i = 0; i < args_.size(); ++i) {
      const std::string& word = args_[i];
      if (word == "--") {
        rest_.insert(rest_.end(), args_.begin() + static_cast<long>(i), args_.end());
        return;
      }
      if (word.size() > 1 && word[0] == '-') {
        rest_.push_back(word);
        Given given = read_flag(*command_, word);
        if (given.flag != nullptr && !given.flag->is_switch && !given.value && i + 1 < args_.size()) rest_.push_back(args_[++i]);
        continue;
      }
      const Command* child = positional_ ? nullptr : command_->child(word);
      if (child != nullptr) {
        command_ = child;
      } else {
        positional_ = true;
        rest_.push_back(word);
      }
    }
  }

  Status parse(Invocation& into, bool& help) {
    for (size_t i = 0; i < rest_.size(); ++i) {
      const std::string& word = rest_[i];
      if (word == "--") {
        into.args.insert(into.args.end(), rest_.begin() + static_cast<long>(i) + 1, rest_.end());
        return {};
      }
      if (word.size() < 2 || word[0] != '-') {
        into.args.push_back(word);
        continue;
      }
      Given given = read_flag(*command_, word);
      if (given.flag == nullptr)
        return Status::error(word.starts_with("--") ? "unknown flag: --" + given.written
                                                    : "unknown shorthand flag: '" + given.written.substr(0, 1) + "' in " + word);
      if (given.flag == &kHelp) {
        help = true;
        continue;
      }
      if (!given.value && !given.flag->is_switch) {
        if (i + 1 >= rest_.size())
          return Status::error(word.starts_with("--") ? "flag needs an argument: " + word : "flag needs an argument: '" + given.written.substr(0, 1) + "' in " + word);
        given.value = rest_[++i];
      }
      TRY(given.flag->set(given.value.value_or("true")));
      into.changed.insert(given.flag->name);
    }
    return {};
  }

  const Command& command() const { return *command_; }

 private:
  const Command* command_;
  const std::vector<std::string>& args_;
  std::vector<std::string> rest_;
  bool positional_ = false;
};

}  // namespace

// ---- Flags -------------------------------------------------------------------------------------------------------------------

void Flags::text(std::string& value, std::string name, std::string usage, std::string shorthand) {
  std::string shown = value.empty() ? "" : quote(value);
  add({std::move(name), std::move(shorthand), "string", std::move(usage), shown, [&value](const std::string& given) {
         value = given;
         return Status();
       }});
}

void Flags::number(int& value, std::string name, std::string usage, std::string type) {
  Flag flag{std::move(name), "", std::move(type), std::move(usage), value == 0 ? "" : std::to_string(value), nullptr};
  Flag copy = flag;
  flag.set = [&value, copy](const std::string& given) {
    auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error == std::errc() && end == given.data() + given.size()) return Status();
    return invalid_argument(copy, given, "strconv.ParseInt: parsing " + quote(given) + ": invalid syntax");
  };
  add(std::move(flag));
}

void Flags::on(bool& value, std::string name, std::string usage, std::string shorthand) {
  Flag flag{std::move(name), std::move(shorthand), "", std::move(usage), value ? "true" : "", nullptr, true};
  Flag copy = flag;
  flag.set = [&value, copy](const std::string& given) {
    static const std::vector<std::string> kTrue = {"1", "t", "T", "true", "TRUE", "True"}, kFalse = {"0", "f", "F", "false", "FALSE", "False"};
    if (!contains(kTrue, given) && !contains(kFalse, given))
      return invalid_argument(copy, given, "strconv.ParseBool: parsing " + quote(given) + ": invalid syntax");
    value = contains(kTrue, given);
    return Status();
  };
  add(std::move(flag));
}

void Flags::list(std::vector<std::string>& value, std::string name, std::string usage) {
  std::string shown = value.empty() ? "" : "[" + join(value, ",") + "]";
  // The first use throws the defaults away, further ones add.
  auto used = std::make_shared<bool>(false);
  add({std::move(name), "", "strings", std::move(usage), shown, [&value, used](const std::string& given) {
         if (!*used) value.clear();
         *used = true;
         if (given.empty()) return Status();
         for (std::string& item : split(given, ',')) value.push_back(std::move(item));
         return Status();
       }});
}

void Flags::duration(Duration& value, std::string name, std::string usage) {
  Flag flag{std::move(name), "", "duration", std::move(usage), value.count() == 0 ? "" : format_duration(value), nullptr};
  Flag copy = flag;
  flag.set = [&value, copy](const std::string& given) {
    auto parsed = parse_duration(given);
    if (!parsed.ok()) return invalid_argument(copy, given, parsed.status().message());
    value = *parsed;
    return Status();
  };
  add(std::move(flag));
}

void Flags::map(std::map<std::string, std::string>& value, std::string name, std::string usage) {
  Flag flag{std::move(name), "", "mapStringString", std::move(usage), "", nullptr};
  Flag copy = flag;
  flag.set = [&value, copy](const std::string& given) {
    for (const std::string& pair : split(given, ',')) {
      if (pair.empty()) continue;
      size_t equals = pair.find('=');
      if (equals == std::string::npos) return invalid_argument(copy, given, "malformed pair, expect string=string");
      value[trim_space(pair.substr(0, equals))] = trim_space(pair.substr(equals + 1));
    }
    return Status();
  };
  add(std::move(flag));
}

void Flags::show_default(const std::string& name, const std::string& text) {
  for (Flag& flag : flags_)
    if (flag.name == name) flag.default_text = text;
}

const Flag* Flags::find(std::string_view name) const {
  for (const Flag& flag : flags_)
    if (flag.name == name) return &flag;
  return nullptr;
}
const Flag* Flags::find_short(char letter) const {
  for (const Flag& flag : flags_)
    if (flag.shorthand.size() == 1 && flag.shorthand[0] == letter) return &flag;
  return nullptr;
}
Flags Flags::subset(const std::vector<std::string>& names) const {
  Flags some;
  for (const Flag& flag : flags_)
    if (contains(names, flag.name)) some.flags_.push_back(flag);
  return some;
}
void Flags::append(const Flags& other) {
  for (const Flag& flag : other.flags_)
    if (find(flag.name) == nullptr) flags_.push_back(flag);
}

std::string Flags::help() const {
  std::vector<const Flag*> sorted;
  size_t width = 0;
  for (const Flag& flag : flags_) {
    sorted.push_back(&flag);
    width = std::max(width, first_paragraph_of_flag(flag).size());
  }
  std::sort(sorted.begin(), sorted.end(), [](const Flag* a, const Flag* b) { return a->name < b->name; });
  std::string out;
  for (const Flag* flag : sorted) {
    std::string usage = replace_all(flag->usage, "\n", "\n" + std::string(width + 3, ' '));
    if (!flag->default_text.empty()) usage += " (default " + flag->default_text + ")";
    out += pad_right(first_paragraph_of_flag(*flag), width) + "   " + usage + "\n";
  }
  return out;
}

// ---- Command -----------------------------------------------------------------------------------------------------------------

Command& Command::add(std::string child_name, std::string child_short_help) {
  auto made = std::make_unique<Command>();
  made->name = std::move(child_name);
  made->short_help = std::move(child_short_help);
  made->parent = this;
  children.push_back(std::move(made));
  return *children.back();
}

std::string Command::path() const { return parent == nullptr ? name : parent->path() + " " + name; }

const Command* Command::child(std::string_view child_name) const {
  for (const auto& one : children)
    if (one->name == child_name || contains(one->aliases, child_name)) return one.get();
  return nullptr;
}

std::string Command::help() const {
  std::string intro = trim_right(long_help.empty() ? short_help : long_help);
  std::string out = intro.empty() ? "" : intro + "\n\n";
  out += "Usage:";
  if (run || help_fails || usage_line) out += "\n  " + path() + (arguments.empty() ? " [flags]" : " " + arguments);
  if (!children.empty()) out += "\n  " + path() + " [command]";
  if (!aliases.empty()) out += "\n\nAliases:\n  " + name + ", " + join(aliases, ", ");
  if (!example.empty()) out += "\n\nExamples:\n" + trim_right(example);
  if (!children.empty()) {
    std::vector<const Command*> sorted;
    size_t width = 11;
    for (const auto& one : children) {
      sorted.push_back(one.get());
      width = std::max(width, one->name.size());
    }
    std::sort(sorted.begin(), sorted.end(), [](const Command* a, const Command* b) { return a->name < b->name; });
    out += "\n\nAvailable Commands:";
    for (const Command* one : sorted) out += "\n  " + pad_right(one->name, width) + " " + one->short_help;
  }
  Flags local = flags;
  local.append(inherited);
  Flag help_flag = kHelp;
  help_flag.usage += name;
  local.add(std::move(help_flag));
  out += "\n\nFlags:\n" + trim_right(local.help());
  Flags global;
  for (const Command* at = parent; at != nullptr; at = at->parent) global.append(at->inherited);
  if (!global.empty()) out += "\n\nGlobal Flags:\n" + trim_right(global.help());
  if (!children.empty()) out += "\n\nUse \"" + path() + " [command] --help\" for more information about a command.";
  return out + "\n";
}

Status execute(const Command& root, const std::vector<std::string>& args, Host& host) {
  std::vector<std::string> words = args;
  bool help = !words.empty() && words[0] == "help";
  if (help) words.erase(words.begin());
  Parser parser(root, words);
  parser.find_command();
  const Command& command = parser.command();
  Invocation invocation;
  TRY(parser.parse(invocation, help));
  if (help) {
    host.print(command.help());
    return {};
  }
  if (!invocation.args.empty() && !command.any_arguments) {
    if (command.run || command.parent == nullptr)
      return Status::error("unknown command " + quote(invocation.args[0]) + " for " + quote(command.path()));
    if (command.help_fails)
      return Status::error("invalid subcommand " + quote(join(invocation.args, " ")) + "\nSee '" + command.path() + " -h' for help and examples");
  }
  if (command.run) return command.run(invocation);
  host.print(command.help());
  return command.help_fails ? Status::make(1, kQuietReason, "") : Status();
}

}  // namespace knarr::kubeadm
