// SPDX-License-Identifier: Apache-2.0
#include "store/environment.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "store/errors.h"

namespace knarr::store {

Status lmdb_status(std::string_view what, int code) {
  if (code == 0) return {};
  if (code == MDB_MAP_FULL || code == MDB_TXN_FULL || code == ENOSPC || code == EDQUOT)
    return out_of_space();
  return Status::error(mdb_strerror(code)).with_context(what);
}

bool is_out_of_space(const Status& status) { return status.code() == 507; }

Result<std::shared_ptr<Environment>> Environment::open(const Options& options) {
  std::shared_ptr<Environment> environment(new Environment());
  TRY(environment->open_files(options));
  TRY(environment->open_tables());
  return environment;
}

Environment::~Environment() {
  for (MDB_txn* txn : idle_) mdb_txn_abort(txn);
  if (env_ != nullptr) mdb_env_close(env_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Status Environment::open_files(const Options& options) {
  if (::mkdir(options.dir.c_str(), 0700) != 0 && errno != EEXIST)
    return Status::from_errno("mkdir " + options.dir, errno);
  // LMDB would share the files with a second process, but the event ring and the counters here
  // would not.
  std::string lock_path = options.dir + "/owner.lock";
  lock_fd_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return Status::from_errno("open " + lock_path, errno);
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
    return Status::from_errno("lock " + lock_path + " (is another process using the store?)",
                              errno);

  if (int rc = mdb_env_create(&env_); rc != 0) return lmdb_status("mdb_env_create", rc);
  mdb_env_set_maxdbs(env_, 8);
  mdb_env_set_maxreaders(env_, 512);
  if (int rc = mdb_env_set_mapsize(env_, options.map_bytes); rc != 0)
    return lmdb_status("mdb_env_set_mapsize", rc);
  unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
  if (options.no_sync) flags |= MDB_NOSYNC;
  if (int rc = mdb_env_open(env_, options.dir.c_str(), flags, 0600); rc != 0)
    return lmdb_status("open " + options.dir, rc);
  // LMDB opens its data file without it; what the kubelet starts must not inherit that.
  mdb_filehandle_t data_fd;
  if (mdb_env_get_fd(env_, &data_fd) == 0) ::fcntl(data_fd, F_SETFD, FD_CLOEXEC);
  // A killed predecessor leaves its reader slots, which would pin its pages for ever.
  int dead = 0;
  mdb_reader_check(env_, &dead);

  // The files' names must survive a power cut too.
  int dir_fd = ::open(options.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir_fd < 0) return Status::from_errno("open " + options.dir, errno);
  int failed = ::fsync(dir_fd) == 0 ? 0 : errno;
  ::close(dir_fd);
  return failed == 0 ? Status() : Status::from_errno("fsync " + options.dir, failed);
}

Status Environment::open_tables() {
  TRY_ASSIGN(WriteTransaction txn, WriteTransaction::begin(*this));
  struct {
    const char* name;
    MDB_dbi* handle;
  } tables[] = {{"keys", &keys}, {"log", &log}, {"ttl", &ttl}, {"meta", &meta}};
  for (auto& table : tables) {
    int rc = mdb_dbi_open(txn.raw(), table.name, 0, table.handle);
    if (rc == MDB_NOTFOUND) {
      rc = mdb_dbi_open(txn.raw(), table.name, MDB_CREATE, table.handle);
    }
    if (rc != 0) return lmdb_status(table.name, rc);
  }
  // Also without changes: handles opened in an aborted transaction are closed with it. LMDB writes
  // nothing when nothing is dirty.
  return txn.commit();
}

Result<ReadTransaction> Environment::read() {
  MDB_txn* txn = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      txn = idle_.back();
      idle_.pop_back();
    }
  }
  if (txn != nullptr) {
    int rc = mdb_txn_renew(txn);
    if (rc == 0) return ReadTransaction(this, txn);
    mdb_txn_abort(txn);
    return lmdb_status("mdb_txn_renew", rc);
  }
  int rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (rc != 0) return lmdb_status("mdb_txn_begin", rc);
  return ReadTransaction(this, txn);
}

void Environment::give_back(MDB_txn* txn) {
  mdb_txn_reset(txn);
  std::lock_guard lock(mutex_);
  idle_.push_back(txn);  // never more than there were readers at once
}

uint64_t Environment::high_water_bytes() const {
  MDB_envinfo info;
  mdb_env_info(env_, &info);
  MDB_stat stat;
  mdb_env_stat(env_, &stat);
  return (static_cast<uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
}

Result<WriteTransaction> WriteTransaction::begin(Environment& environment) {
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(environment.raw(), nullptr, 0, &txn);
  if (rc != 0) return lmdb_status("mdb_txn_begin", rc);
  return WriteTransaction(txn);
}

Status WriteTransaction::commit() {
  int rc = mdb_txn_commit(std::exchange(txn_, nullptr));
  return lmdb_status("mdb_txn_commit", rc);
}

Result<Cursor> Cursor::open(MDB_txn* txn, MDB_dbi table) {
  MDB_cursor* cursor = nullptr;
  int rc = mdb_cursor_open(txn, table, &cursor);
  if (rc != 0) return lmdb_status("mdb_cursor_open", rc);
  return Cursor(cursor);
}

Result<bool> Cursor::move(MDB_cursor_op op, MDB_val* at, std::string_view* key,
                          std::string_view* value) {
  MDB_val data{};
  int rc = mdb_cursor_get(cursor_, at, &data, op);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return lmdb_status("mdb_cursor_get", rc);
  *key = to_view(*at);
  *value = to_view(data);
  return true;
}

Result<bool> Cursor::seek(std::string_view at_or_after, std::string_view* key,
                          std::string_view* value) {
  MDB_val at = to_val(at_or_after);
  // LMDB takes no empty key.
  return move(at_or_after.empty() ? MDB_FIRST : MDB_SET_RANGE, &at, key, value);
}

Result<bool> Cursor::next(std::string_view* key, std::string_view* value) {
  MDB_val at{};
  return move(MDB_NEXT, &at, key, value);
}

Status Cursor::remove() { return lmdb_status("mdb_cursor_del", mdb_cursor_del(cursor_, 0)); }

Result<bool> find(MDB_txn* txn, MDB_dbi table, std::string_view key, std::string_view* value) {
  MDB_val at = to_val(key);
  MDB_val data{};
  int rc = mdb_get(txn, table, &at, &data);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return lmdb_status("mdb_get", rc);
  *value = to_view(data);
  return true;
}

Status put(MDB_txn* txn, MDB_dbi table, std::string_view key, std::string_view value) {
  MDB_val at = to_val(key);
  MDB_val data = to_val(value);
  return lmdb_status("mdb_put", mdb_put(txn, table, &at, &data, 0));
}

Status erase(MDB_txn* txn, MDB_dbi table, std::string_view key) {
  MDB_val at = to_val(key);
  int rc = mdb_del(txn, table, &at, nullptr);
  return rc == MDB_NOTFOUND ? Status() : lmdb_status("mdb_del", rc);
}

}  // namespace knarr::store
