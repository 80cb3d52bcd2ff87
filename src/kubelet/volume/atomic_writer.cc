// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/atomic_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <set>

#include "base/files.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace {

constexpr const char* kDataLink = "..data";
constexpr const char* kNewDataLink = "..data_tmp";
constexpr size_t kMaxFileName = 255;
constexpr size_t kMaxPath = 4096;

Result<std::string> read_link(const std::string& path) {
  char buffer[kMaxPath + 1];
  ssize_t size = ::readlink(path.c_str(), buffer, sizeof buffer);
  if (size < 0) return Status::from_errno("readlink " + path, errno);
  return std::string(buffer, static_cast<size_t>(size));
}

// Every path below `folder`, relative to it. Bounded by what a payload may contain.
Status list_below(const std::string& folder, const std::string& prefix,
                  std::set<std::string>& found) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (dir == nullptr)
    return errno == ENOENT ? Status() : Status::from_errno("open " + folder, errno);
  while (dirent* entry = ::readdir(dir.get())) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string relative = prefix.empty() ? name : prefix + "/" + name;
    struct stat info {};
    std::string path = folder + "/" + name;
    found.insert(relative);
    if (::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
      TRY(list_below(path, relative, found));
  }
  return {};
}

// What the old version shows and the new one does not.
std::set<std::string> stale_paths(std::set<std::string> old_paths, const Payload& payload) {
  for (const auto& [path, file] : payload) {
    for (size_t end = path.size();;) {
      old_paths.erase(path.substr(0, end));
      size_t slash = path.rfind('/', end - 1);
      if (end == 0 || slash == std::string::npos) break;
      end = slash;
    }
  }
  return old_paths;
}

bool same_content(const Payload& payload, const std::string& folder) {
  for (const auto& [path, file] : payload) {
    Result<std::string> present = read_file(folder + "/" + path);
    if (!present.ok() || *present != file.data) return false;
  }
  return true;
}

}  // namespace

Status check_payload_path(std::string_view path) {
  auto invalid = [](std::string text) { return Status::error("invalid path: " + text); };
  if (path.empty()) return invalid("must not be empty: \"\"");
  if (path[0] == '/') return invalid("must be relative path: " + std::string(path));
  if (path.size() > kMaxPath)
    return invalid("must be less than or equal to " + std::to_string(kMaxPath) + " characters");
  std::vector<std::string_view> parts = split_path(path);
  for (std::string_view part : parts) {
    if (part == "..") return invalid("must not contain '..': " + std::string(path));
    if (part.size() > kMaxFileName)
      return invalid("filenames must be less than or equal to " + std::to_string(kMaxFileName) +
                     " characters");
  }
  if (!parts.empty() && parts[0].starts_with(".."))
    return invalid("must not start with '..': " + std::string(path));
  return {};
}

Status AtomicWriter::write(const Payload& payload, const std::function<Status()>& set_permissions,
                           bool* changed) {
  if (changed != nullptr) *changed = false;
  Payload clean;
  for (const auto& [path, file] : payload) {
    TRY(check_payload_path(path));
    std::string cleaned = clean_path(path);
    // "./..x" cleans to "..x": look again.
    TRY(check_payload_path(cleaned));
    clean[std::move(cleaned)] = file;
  }

  std::string link = target_ + "/" + kDataLink;
  std::string old_name;
  if (Result<std::string> old = read_link(link); old.ok()) old_name = *old;
  // The link is ours, but a name that leaves the volume would make us remove what is not.
  if (old_name.find('/') != std::string::npos || old_name == "." || old_name == "..")
    old_name.clear();
  std::string old_folder = target_ + "/" + old_name;
  std::set<std::string> stale;
  if (!old_name.empty()) {
    std::set<std::string> old_paths;
    TRY(list_below(old_folder, "", old_paths));
    stale = stale_paths(std::move(old_paths), clean);
    if (stale.empty() && same_content(clean, old_folder)) return {};
  }

  TRY_ASSIGN(std::string folder, make_timestamp_folder());
  Status written = write_files(clean, folder);
  if (written.ok() && set_permissions) written = set_permissions();
  if (!written.ok()) {
    (void)remove_tree(folder);
    return written;
  }

  std::string new_link = target_ + "/" + kNewDataLink;
  std::string folder_name = base_name(folder);
  if (::symlink(folder_name.c_str(), new_link.c_str()) != 0) {
    // Left behind by a writer that was killed between the two steps.
    if (errno != EEXIST || ::unlink(new_link.c_str()) != 0 ||
        ::symlink(folder_name.c_str(), new_link.c_str()) != 0) {
      int error = errno;
      (void)remove_tree(folder);
      return Status::from_errno("symlink " + new_link, error);
    }
  }
  if (::rename(new_link.c_str(), link.c_str()) != 0) {
    int error = errno;
    ::unlink(new_link.c_str());
    (void)remove_tree(folder);
    return Status::from_errno("rename " + new_link, error);
  }
  if (changed != nullptr) *changed = true;

  for (const auto& [path, file] : clean) {
    std::string top = path.substr(0, path.find('/'));
    std::string visible = target_ + "/" + top;
    std::string into = std::string(kDataLink) + "/" + top;
    if (::symlink(into.c_str(), visible.c_str()) != 0 && errno != EEXIST)
      return Status::from_errno("symlink " + visible, errno);
  }
  for (const std::string& path : stale)
    if (path.find('/') == std::string::npos) ::unlink((target_ + "/" + path).c_str());
  if (!old_name.empty()) TRY(remove_tree(old_folder));
  return {};
}

Result<std::string> AtomicWriter::make_timestamp_folder() {
  time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(clock_.now())));
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char stamp[64];
  ::strftime(stamp, sizeof stamp, "..%Y_%m_%d_%H_%M_%S.XXXXXX", &parts);
  std::string folder = target_ + "/" + stamp;
  if (::mkdtemp(folder.data()) == nullptr) return Status::from_errno("mkdtemp " + folder, errno);
  if (::chmod(folder.c_str(), 0755) != 0) return Status::from_errno("chmod " + folder, errno);
  return folder;
}

Status AtomicWriter::write_files(const Payload& payload, const std::string& folder) {
  for (const auto& [path, file] : payload) {
    std::string full = folder + "/" + path;
    TRY(make_folders(dir_name(full), 0755));
    TRY(write_plain(full, file.data, static_cast<mode_t>(file.mode & 07777)));
    if (file.user.has_value() && change_owner_) TRY(change_owner_(full, *file.user));
  }
  return {};
}

}  // namespace knarr::kubelet
