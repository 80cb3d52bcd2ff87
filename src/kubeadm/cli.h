// SPDX-License-Identifier: Apache-2.0
// A command line as cobra and pflag make it: a tree of commands, flags anywhere among the arguments, help pages of the same form and errors of
// the same words. CLI11 serves the components; kubeadm's users read its help, so it has upstream's shape.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kubeadm/host.h"

namespace knarr::kubeadm {

struct Flag {
  std::string name, shorthand, type, usage;     // type: what stands behind the name in help; "" for a switch
  std::string default_text;                     // as shown, "" = not shown
  std::function<Status(const std::string&)> set;
  bool is_switch = false;
};

// Flags that write into variables of whoever made them, which must outlive the parse.
class Flags {
 public:
  void text(std::string& value, std::string name, std::string usage, std::string shorthand = "");
  void number(int& value, std::string name, std::string usage, std::string type);
  void on(bool& value, std::string name, std::string usage, std::string shorthand = "");
  void list(std::vector<std::string>& value, std::string name, std::string usage);
  void duration(Duration& value, std::string name, std::string usage);
  // name=value pairs, comma separated.
  void map(std::map<std::string, std::string>& value, std::string name, std::string usage);
  void add(Flag flag) { flags_.push_back(std::move(flag)); }
  // Shows another default than the variable's value.
  void show_default(const std::string& name, const std::string& text);

  const Flag* find(std::string_view name) const;
  const Flag* find_short(char letter) const;
  Flags subset(const std::vector<std::string>& names) const;
  void append(const Flags& other);
  bool empty() const { return flags_.empty(); }
  std::string help() const;                     // one line a flag, by name

 private:
  std::vector<Flag> flags_;
};

struct Invocation {
  std::vector<std::string> args;
  std::set<std::string> changed;                // flags that were given
  bool has(const std::string& flag) const { return changed.count(flag) > 0; }
};

struct Command {
  std::string name, arguments;                  // arguments: "[token]", shown in the usage line instead of [flags]
  std::vector<std::string> aliases;
  std::string short_help, long_help, example;
  Flags flags, inherited;                       // inherited: for this command and all below
  std::function<Status(const Invocation&)> run; // none: help is shown
  bool any_arguments = false;
  bool usage_line = false;                      // shown in help though there is nothing to run: a group with a page of its own
  bool help_fails = false;                      // a group whose help ends with exit code 1, and which says which subcommand it does not know
  std::vector<std::unique_ptr<Command>> children;
  Command* parent = nullptr;

  Command& add(std::string child_name, std::string child_short_help);
  std::string path() const;
  std::string help() const;
  const Command* child(std::string_view child_name) const;
};

// Parses and runs; the error is printed by the caller. Help is printed on `host`.
Status execute(const Command& root, const std::vector<std::string>& args, Host& host);
// "quiet" failure: the exit code is not 0, nothing is said.
inline constexpr char kQuietReason[] = "Quiet";

}  // namespace knarr::kubeadm
