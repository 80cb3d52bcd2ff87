// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificate/store.h"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/files.h"

namespace knarr::kubelet {
namespace {

std::string stamp_of(WallTime time) {
  std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d-%H-%M-%S", &parts);
  return text;
}

}  // namespace

std::string pem_blocks(std::string_view text, std::string_view kind) {
  constexpr std::string_view kBegin = "-----BEGIN ", kDashes = "-----";
  std::string found;
  for (size_t at = text.find(kBegin); at != text.npos; at = text.find(kBegin, at + 1)) {
    size_t name_at = at + kBegin.size(), name_end = text.find(kDashes, name_at);
    if (name_end == text.npos) break;
    std::string_view name = text.substr(name_at, name_end - name_at);
    std::string tail = "-----END " + std::string(name) + "-----";
    size_t end = text.find(tail, name_end);
    if (end == text.npos) break;
    if (name.ends_with(kind)) found += std::string(text.substr(at, end + tail.size() - at)) + "\n";
    at = end;
  }
  return found;
}

CertificateStore::CertificateStore(std::string prefix, std::string dir, const Clock& clock)
    : prefix_(std::move(prefix)), dir_(std::move(dir)), clock_(clock) {
  std::string updated = dir_ + "/" + prefix_ + "-updated.pem";
  if (!file_exists(current_path()) && file_exists(updated)) (void)std::rename(updated.c_str(), current_path().c_str());
}

std::optional<pki::KeyPair> CertificateStore::current() const {
  auto text = read_file(current_path());
  if (!text.ok()) return std::nullopt;
  pki::KeyPair pair{pem_blocks(*text, "CERTIFICATE"), pem_blocks(*text, "PRIVATE KEY")};
  bool readable = pki::inspect(pair.cert_pem).ok() && pki::public_key_of(pair.key_pem).ok();
  return readable ? std::optional(std::move(pair)) : std::nullopt;
}

Status CertificateStore::update(const pki::KeyPair& pair) {
  TRY(make_dirs(dir_, 0755));
  std::string file = dir_ + "/" + prefix_ + "-" + stamp_of(clock_.now()) + ".pem", updated = dir_ + "/" + prefix_ + "-updated.pem";
  TRY(write_file(file, pem_blocks(pair.cert_pem, "CERTIFICATE") + pair.key_pem, 0600));
  ::unlink(updated.c_str());
  if (::symlink(file.c_str(), updated.c_str()) != 0) return Status::from_errno("symlink " + updated, errno);
  if (std::rename(updated.c_str(), current_path().c_str()) != 0) return Status::from_errno("rename " + updated, errno);
  return {};
}

}  // namespace knarr::kubelet
