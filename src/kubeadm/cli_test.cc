// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/cli.h"

#include <gtest/gtest.h>

#include "kubeadm/fake_host.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/phases.h"

namespace knarr::kubeadm {
namespace {

struct Sample {
  Command root;
  std::string name;
  std::vector<std::string> list;
  bool on = false;
  std::string level;
  Invocation last;
  Sample() {
    root.name = "tool";
    Flag flag{"v", "v", "Level", "", "", [this](const std::string& value) {
                level = value;
                return Status();
              }};
    root.inherited.add(flag);
    Command& run = root.add("run", "Runs");
    run.flags.text(name, "name", "The name");
    run.flags.list(list, "list", "A list");
    run.flags.on(on, "on", "A switch", "o");
    run.any_arguments = true;
    run.run = [this](const Invocation& invocation) {
      last = invocation;
      return Status();
    };
    Command& none = root.add("none", "Takes nothing");
    none.run = [](const Invocation&) { return Status(); };
  }
};

TEST(Cli, FlagsStandAnywhere) {
  FakeHost host;
  Sample sample;
  ASSERT_TRUE(execute(sample.root, {"-v", "5", "run", "a", "--name=x", "--list", "1,2", "b", "-o", "--list=3", "--", "--c"}, host).ok());
  EXPECT_EQ(sample.name, "x");
  EXPECT_EQ(sample.list, (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_TRUE(sample.on);
  EXPECT_EQ(sample.level, "5");
  EXPECT_EQ(sample.last.args, (std::vector<std::string>{"a", "b", "--c"}));
  EXPECT_TRUE(sample.last.has("name"));
  EXPECT_FALSE(sample.last.has("token"));
}

TEST(Cli, ErrorsAsCobras) {
  FakeHost host;
  Sample sample;
  auto message = [&](std::vector<std::string> args) { return std::string(execute(sample.root, args, host).message()); };
  EXPECT_EQ(message({"walk"}), "unknown command \"walk\" for \"tool\"");
  EXPECT_EQ(message({"none", "x"}), "unknown command \"x\" for \"tool none\"");
  EXPECT_EQ(message({"run", "--nope"}), "unknown flag: --nope");
  EXPECT_EQ(message({"run", "-x"}), "unknown shorthand flag: 'x' in -x");
  EXPECT_EQ(message({"run", "--name"}), "flag needs an argument: --name");
  EXPECT_EQ(message({"run", "--on=maybe"}), "invalid argument \"maybe\" for \"-o, --on\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax");
}

TEST(Cli, HelpPages) {
  FakeHost host;
  Sample sample;
  ASSERT_TRUE(execute(sample.root, {"run", "--help"}, host).ok());
  EXPECT_EQ(host.out,
            "Runs\n\nUsage:\n  tool run [flags]\n\nFlags:\n  -h, --help           help for run\n      --list strings   A list\n      --name string    The name\n"
            "  -o, --on             A switch\n\nGlobal Flags:\n  -v, --v Level\n");
}

struct Log {
  std::vector<std::string> ran;
};
Workflow<Log> sample_workflow() {
  auto phase = [](const char* name) {
    Phase<Log> made;
    made.name = name;
    std::string text = name;
    made.run = [text](Log& log) {
      log.ran.push_back(text);
      return text == "bad" ? Status::error("broken") : Status();
    };
    return made;
  };
  Workflow<Log> workflow;
  workflow.phases.push_back(phase("a"));
  Phase<Log> b = phase("b");
  b.children.push_back(phase("b1"));
  b.children.push_back(phase("b2"));
  workflow.phases.push_back(std::move(b));
  Phase<Log> c = phase("c");
  c.dependencies = {"a"};
  workflow.phases.push_back(std::move(c));
  return workflow;
}

TEST(Phases, InOrderSkippedAndSingly) {
  Workflow<Log> workflow = sample_workflow();
  Log all, skipped, one, none;
  ASSERT_TRUE(workflow.run(all, "", {}).ok());
  EXPECT_EQ(all.ran, (std::vector<std::string>{"a", "b", "b1", "b2", "c"}));
  ASSERT_TRUE(workflow.run(skipped, "", {"b/b1"}).ok());
  EXPECT_EQ(skipped.ran, (std::vector<std::string>{"a", "b", "b2", "c"}));
  ASSERT_TRUE(workflow.run(one, "b", {}).ok());
  EXPECT_EQ(one.ran, (std::vector<std::string>{"b", "b1", "b2"}));
  EXPECT_EQ(workflow.run(none, "", {"x"}).message(), "invalid phase name: x");
  EXPECT_EQ(workflow.run(none, "", {"a"}).message(), "unresolved dependencies:\n\tmissing [a] phase(s) needed by \"c\" phase");
  EXPECT_TRUE(none.ran.empty());
}

TEST(Phases, FailuresNameThePhase) {
  Workflow<Log> workflow;
  Phase<Log> parent, bad;
  parent.name = "p";
  bad.name = "bad";
  bad.run = [](Log&) { return Status::error("broken"); };
  parent.children.push_back(bad);
  workflow.phases.push_back(parent);
  Log log;
  EXPECT_EQ(workflow.run(log, "", {}).message(), "error execution phase p/bad: broken");
}

TEST(Kubeadm, ExitCodes) {
  FakeHost host;
  EXPECT_EQ(run(host, {"version"}), 0);
  EXPECT_EQ(run(host, {"foo"}), 1);
  EXPECT_EQ(host.err, "unknown command \"foo\" for \"kubeadm\"\nTo see the stack trace of this error execute with --v=5 or higher\n");
  EXPECT_EQ(run(host, {"join", "192.0.2.1:6443", "--token", "abcdef.0123456789abcdef"}), 3);
  EXPECT_EQ(run(host, {"token"}), 1);
  EXPECT_EQ(run(host, {"init", "--config", "/nowhere", "--pod-network-cidr", "10.0.0.0/16"}), 1);
  EXPECT_NE(host.err.find("can not mix '--config' with arguments [pod-network-cidr]"), std::string::npos);
}

TEST(Kubeadm, PhasesWriteFiles) {
  FakeHost host;
  ASSERT_EQ(run(host, {"init", "phase", "control-plane", "scheduler", "--scheduler-extra-args", "v=4"}), 0) << host.err;
  EXPECT_EQ(host.out, "[control-plane] Creating static Pod manifest for \"kube-scheduler\"\n");
  EXPECT_NE(host.files["/etc/kubernetes/manifests/kube-scheduler.yaml"].find("- --v=4"), std::string::npos);
}

}  // namespace
}  // namespace knarr::kubeadm
