// SPDX-License-Identifier: Apache-2.0
// GET /logs/PATH: files and folders below /var/log, as a plain file server. Never leaves the
// folder, also not through symlinks.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "kubelet/server/call.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace {

std::string html_escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string list_folder(Fd fd) {
  std::vector<std::string> names;
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) return {};
  fd.release();
  while (dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entry->d_type == DT_DIR) name += "/";
    names.push_back(std::move(name));
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  std::string out =
      "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n";
  for (const std::string& name : names)
    out += "<a href=\"" + html_escaped(net::percent_encode_path(name)) + "\">" +
           html_escaped(name) + "</a>\n";
  return out + "</pre>\n";
}

struct Opened {
  Fd fd;
  bool folder = false;
  int error = 0;
};

Opened open_log(const std::string& root, const std::string& relative) {
  Opened opened;
  Fd base(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) {
    opened.error = errno;
    return opened;
  }
  // O_NONBLOCK: a fifo must not hold us up; it is refused below.
  opened.fd = open_beneath(base.get(), relative, O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, &opened.error);
  struct stat info {};
  if (!opened.fd.valid()) return opened;
  if (::fstat(opened.fd.get(), &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)))
    opened.error = EACCES;
  opened.folder = S_ISDIR(info.st_mode);
  return opened;
}

}  // namespace

Task<void> serve_system_logs(Call& call) {
  std::string relative;
  for (size_t i = 1; i < call.path.size(); ++i)
    relative += (relative.empty() ? "" : "/") + call.path[i];
  Opened opened = open_log(call.state.options.system_logs_dir, relative.empty() ? "." : relative);
  if (opened.error != 0) {
    bool absent = opened.error == ENOENT || opened.error == ENOTDIR;
    co_await answer_text(call, absent ? 404 : 403,
                         absent ? "404 page not found\n" : "403 Forbidden\n");
    co_return;
  }
  if (opened.folder) {
    std::string body = list_folder(std::move(opened.fd));
    co_await answer(call, 200, "text/html; charset=utf-8", std::move(body));
    co_return;
  }
  net::Headers headers;
  headers.add("Content-Type", "text/plain; charset=utf-8");
  Status status = co_await call.writer.start(200, std::move(headers));
  std::string buffer(64 << 10, '\0');
  while (status.ok()) {
    ssize_t n = -1;
    std::function<void()> work = [&] { n = ::read(opened.fd.get(), buffer.data(), buffer.size()); };
    co_await run_blocking(std::move(work));
    if (n <= 0) break;
    Body piece(std::string_view(buffer).substr(0, static_cast<size_t>(n)));
    status = co_await call.writer.write(std::move(piece));
  }
}

}  // namespace knarr::kubelet
