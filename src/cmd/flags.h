// SPDX-License-Identifier: Apache-2.0
// What the components' flags have in common. Included by the commands' .cc files only.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdio>
#include <initializer_list>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "client/leader_election.h"
#include "schema/time.h"

namespace knarr::cmd {

// A command named as upstream's, with the flags that every one of them has.
class ComponentApp : public CLI::App {
 public:
  ComponentApp(std::string description, std::string name) : CLI::App(std::move(description), std::move(name)) {
    add_option("-v,--v", verbosity_, "log level: 0 to 10, as klog's");
    set_version_flag("--version", std::string("Kubernetes ") + kKubernetesVersion);
    // klog's comma separated lists and Go's booleans: --anonymous-auth=false.
    option_defaults()->delimiter(',');
    // As pflag: a flag given again replaces what it said before (lists grow).
    option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }

  // Upstream flags that mean nothing here (a limit that is not needed, a cache that does not exist): taken, so that the same command line
  // starts either program.
  void accept(std::initializer_list<const char*> names) {
    for (const char* name : names) add_option(std::string("--") + name, ignored_.emplace_back(), "accepted for compatibility; has no effect")->group("");
  }
  void add_bool(const std::string& name, bool& value, const std::string& description) {
    add_flag(name + "{true}", value, description);
  }

  // "40s", "1h30m", as Go writes them.
  void add_duration(const std::string& name, Duration& value, const std::string& description) {
    add_option_function<std::string>(
        name,
        [name, &value](const std::string& text) {
          Result<int64_t> nanos = schema::parse_duration(text);
          if (!nanos.ok()) throw CLI::ValidationError(name, std::string(nanos.status().message()));
          value = Duration(*nanos);
        },
        description);
  }

  void apply_logging() const {
    if (verbosity_ >= 4) set_log_level(LogLevel::kDebug);
  }

 private:
  int verbosity_ = 2;
  std::list<std::vector<std::string>> ignored_;
};

inline void add_leader_election_flags(ComponentApp& app, bool& leader_elect, client::LeaderElectionOptions& election) {
  app.add_bool("--leader-elect", leader_elect, "run only while leading among several");
  app.add_duration("--leader-elect-lease-duration", election.lease, "after which a silent leader is replaced");
  app.add_duration("--leader-elect-renew-deadline", election.renew_deadline, "after which a leader that cannot renew gives up");
  app.add_duration("--leader-elect-retry-period", election.retry, "between tries");
  app.add_option("--leader-elect-resource-name", election.name, "name of the Lease");
  app.add_option("--leader-elect-resource-namespace", election.namespace_, "namespace of the Lease");
  app.accept({"leader-elect-resource-lock"});
}

inline std::string strip_scheme(std::string endpoint, std::string_view scheme) {
  return endpoint.starts_with(scheme) ? endpoint.substr(scheme.size()) : endpoint;
}

}  // namespace knarr::cmd
