#include "keyd/store_statement.h"

#include <cerrno>
#include <utility>

namespace keyward {
namespace {

// Why the last write to the write-ahead log failed; 0 when that is not known.
int LastErrnoOfLog(sqlite3* database) {
  sqlite3_file* log = nullptr;
  const int found = sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                                         static_cast<void*>(&log));
  if (found != SQLITE_OK || log == nullptr || log->pMethods == nullptr) return 0;
  int reason = 0;
  const int told = log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &reason);
  return told == SQLITE_OK ? reason : 0;
}

// SQLite calls ENOSPC alone so; a quota, or a limit on files, fills a disk as well.
bool LacksSpace(sqlite3* database, int code) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  if (code != SQLITE_IOERR_WRITE) return false;
  const int reason = LastErrnoOfLog(database);
  return reason == EDQUOT || reason == EFBIG;
}

}  // namespace

bool IsDiskFull(const Error& error) {
  return error.code() == ErrorCode::kIo && error.message() == kDiskFull;
}

Error StoreError(sqlite3* database, const char* doing) {
  const int code = sqlite3_errcode(database) & 0xff;
  const std::string cause = std::string(doing) + ": " + sqlite3_errmsg(database);
  if (LacksSpace(database, sqlite3_extended_errcode(database))) {
    return Error(ErrorCode::kIo, kDiskFull).WithCause(cause);
  }
  // SQLITE_ERROR: a table or column is not there, as the statements are keyd's own.
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_CONSTRAINT ||
      code == SQLITE_ERROR) {
    return Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause(cause);
  }
  return Error(ErrorCode::kIo, "the stored state cannot be read or written").WithCause(cause);
}

Statement::Statement(sqlite3* database, const char* sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  error_ = sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
  statement_.reset(statement);
}

Statement& Statement::Bind(int64_t value) {
  if (error_ == SQLITE_OK) error_ = sqlite3_bind_int64(statement_.get(), ++bound_, value);
  return *this;
}

Statement& Statement::Bind(const std::string& text) {
  if (error_ == SQLITE_OK) {
    error_ = sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(),
                                 SQLITE_TRANSIENT, SQLITE_UTF8);  // NOLINT: SQLite's own cast
  }
  return *this;
}

Statement& Statement::Bind(ByteView blob) {
  if (error_ == SQLITE_OK) {
    const void* bytes = blob.empty() ? "" : static_cast<const void*>(blob.data());
    error_ = sqlite3_bind_blob64(statement_.get(), ++bound_, bytes, blob.size(),
                                 SQLITE_TRANSIENT);  // NOLINT: SQLite's own cast
  }
  return *this;
}

Result<bool> Statement::Step() {
  if (error_ != SQLITE_OK) return Fail(StoreError(database_, "prepare"));
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return Fail(StoreError(database_, sqlite3_sql(statement_.get())));
  }
}

Result<void> Statement::Run() {
  KEYWARD_TRY(Step());
  return {};
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::Text(int column) const { return std::string(AsText(Blob(column))); }

Bytes Statement::Blob(int column) const {
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? Bytes() : Bytes(bytes, bytes + size);
}

Result<Transaction> Transaction::Begin(sqlite3* database) {
  KEYWARD_TRY(Statement(database, "BEGIN IMMEDIATE").Run());
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // Fails only where SQLite has rolled back by itself (sqlite.org/lang_transaction.html).
  static_cast<void>(sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr));
}

Result<void> Transaction::Commit() {
  KEYWARD_TRY(Statement(database_, "COMMIT").Run());
  database_ = nullptr;
  return {};
}

}  // namespace keyward
