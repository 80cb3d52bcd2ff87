// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/files.h"

namespace knarr {
namespace {

Task<void> run(std::vector<std::string> args, std::string* output, bool* ok) {
  auto result = co_await run_process(std::move(args));
  *ok = result.ok();
  *output = result.ok() ? *result : std::string(result.status().message());
}

TEST(Process, GivesOutputAndFailure) {
  boost::asio::io_context context;
  std::string good, bad, absent;
  bool good_ok = false, bad_ok = true, absent_ok = true;
  spawn(context.get_executor(), run({"sh", "-c", "echo hello"}, &good, &good_ok));
  spawn(context.get_executor(), run({"sh", "-c", "echo why; exit 3"}, &bad, &bad_ok));
  spawn(context.get_executor(), run({"no-such-program-here"}, &absent, &absent_ok));
  context.run();
  EXPECT_TRUE(good_ok);
  EXPECT_EQ(good, "hello\n");
  EXPECT_FALSE(bad_ok);
  EXPECT_NE(bad.find("why"), std::string::npos);
  EXPECT_FALSE(absent_ok);
}

Task<void> stop_it(Process* process) { co_await process->stop(std::chrono::seconds(5)); }

TEST(Process, StopsAChild) {
  boost::asio::io_context context;
  auto process = Process::start({.args = {"sleep", "100"}});
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE((*process)->running());
  spawn(context.get_executor(), stop_it(process->get()));
  context.run();
  EXPECT_FALSE((*process)->running());
}

TEST(Files, AreWrittenWhole) {
  std::string path = testing::TempDir() + "knarr_files_test/a/b.txt";
  ASSERT_TRUE(make_dirs(dir_name(path)).ok());
  ASSERT_TRUE(write_file(path, "content", 0600).ok());
  auto content = read_file(path);
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(*content, "content");
  EXPECT_FALSE(read_file(path + ".absent").ok());
  EXPECT_EQ(*list_dir(dir_name(path)), std::vector<std::string>{"b.txt"});
}

}  // namespace
}  // namespace knarr
