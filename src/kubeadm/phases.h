// SPDX-License-Identifier: Apache-2.0
// A workflow of phases, as `kubeadm init`, `join` and `reset` are: run in order, skipped by name with --skip-phases, or run one by one as
// `kubeadm init phase NAME`. Data is what the phases of one workflow share.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "kubeadm/cli.h"
#include "kubeadm/text.h"

namespace knarr::kubeadm {

inline constexpr char kNotOnItsOwn[] = "This command is not meant to be run on its own. See list of available subcommands.";

template <class Data>
struct Phase {
  std::string name, short_help, long_help, example;
  std::vector<std::string> aliases;
  std::function<Status(Data&)> run;
  std::vector<Phase> children;
  std::vector<std::string> flags;               // of the workflow's, taken by the command of this phase
  Flags local_flags;
  bool hidden = false;                          // no command of its own, not in the list
  bool all_siblings = false;                    // the command "all": runs the whole parent
  std::vector<std::string> dependencies;
};

template <class Data>
class Workflow {
 public:
  std::vector<Phase<Data>> phases;

  // Every phase by its path, in running order: "certs", "certs/ca".
  struct Entry {
    const Phase<Data>* phase;
    std::string path;
    int level;
  };
  std::vector<Entry> entries() const {
    std::vector<Entry> list;
    for (const Phase<Data>& phase : phases) collect(phase, "", 0, list);
    return list;
  }

  // `only` = "" runs all. The failure names the phase.
  Status run(Data& data, const std::string& only, const std::vector<std::string>& skipped) const {
    std::vector<Entry> list = entries();
    TRY(check_names(list, only, skipped));
    auto chosen = [&](const Entry& entry) {
      if (!only.empty() && !within(entry.path, only)) return false;
      return std::none_of(skipped.begin(), skipped.end(), [&](const std::string& name) { return within(entry.path, name); });
    };
    TRY(check_dependencies(list, chosen));
    for (const Entry& entry : list) {
      if (!entry.phase->run || !chosen(entry)) continue;
      TRY(entry.phase->run(data).with_context("error execution phase " + entry.path));
    }
    return {};
  }

  // The list in a command's long help.
  std::string help(const std::string& command) const {
    std::vector<Entry> list = entries();
    size_t width = 0;
    for (const Entry& entry : list)
      if (!entry.phase->hidden) width = std::max(width, shown(entry).size());
    std::string text = "The " + quote(command) + " command executes the following phases:\n```\n";
    for (const Entry& entry : list) {
      if (entry.phase->hidden) continue;
      text += std::string(static_cast<size_t>(entry.level) * 2, ' ') + pad_right(shown(entry), width + 2) + entry.phase->short_help + "\n";
    }
    return text + "```";
  }

  // Adds "phase" with a command for every phase. `start` runs one of them by its path.
  void bind(Command& command, const Flags& pool, std::function<Status(const std::string& path, const Invocation&)> start) const {
    command.long_help = (command.long_help.empty() ? command.short_help : command.long_help) + "\n\n" + help(command.arguments.starts_with("[api") ? command.name + " [api-server-endpoint]" : command.name) + "\n";
    Command& group = command.add("phase", "Use this command to invoke single phase of the " + command.name + " workflow");
    for (const Phase<Data>& phase : phases) bind_one(group, phase, "", pool, start);
  }

 private:
  static void collect(const Phase<Data>& phase, const std::string& parent, int level, std::vector<Entry>& list) {
    if (phase.all_siblings) return;
    std::string path = parent.empty() ? phase.name : parent + "/" + phase.name;
    list.push_back({&phase, path, level});
    for (const Phase<Data>& child : phase.children) collect(child, path, level + 1, list);
  }
  static bool within(const std::string& path, const std::string& name) { return path == name || path.starts_with(name + "/"); }
  static std::string shown(const Entry& entry) { return (entry.level > 0 ? "/" : "") + entry.phase->name; }
  static Status check_names(const std::vector<Entry>& list, const std::string& only, const std::vector<std::string>& skipped) {
    auto known = [&](const std::string& name) { return std::any_of(list.begin(), list.end(), [&](const Entry& entry) { return entry.path == name; }); };
    if (!only.empty() && !known(only)) return Status::error("invalid phase name: " + only);
    for (const std::string& name : skipped)
      if (!known(name)) return Status::error("invalid phase name: " + name);
    return {};
  }
  template <class Chosen>
  static Status check_dependencies(const std::vector<Entry>& list, Chosen chosen) {
    std::vector<std::string> visited;
    std::string missing;
    for (const Entry& entry : list) {
      if (!chosen(entry)) continue;
      std::vector<std::string> absent;
      for (const std::string& name : entry.phase->dependencies)
        if (!contains(visited, name)) absent.push_back(name);
      if (!absent.empty()) missing += "\n\tmissing " + bracketed(absent) + " phase(s) needed by " + quote(entry.phase->name) + " phase";
      visited.push_back(entry.phase->name);
    }
    return missing.empty() ? Status() : Status::error("unresolved dependencies:" + missing);
  }
  template <class Start>
  static void bind_one(Command& parent, const Phase<Data>& phase, const std::string& above, const Flags& pool, const Start& start) {
    if (phase.hidden) return;
    Command& command = parent.add(phase.name, phase.short_help);
    command.aliases = phase.aliases;
    command.long_help = phase.long_help;
    command.example = phase.example;
    command.flags = pool.subset(phase.flags);
    command.flags.append(phase.local_flags);
    std::string path = above.empty() ? phase.name : above + "/" + phase.name;
    std::string selected = phase.all_siblings ? above : path;
    if (phase.children.empty()) {
      command.run = [start, selected](const Invocation& invocation) { return start(selected, invocation); };
    }
    command.usage_line = true;
    for (const Phase<Data>& child : phase.children) bind_one(command, child, path, pool, start);
  }
};

}  // namespace knarr::kubeadm
