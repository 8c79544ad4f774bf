// A prepared SQLite statement and a transaction, as objects. For keyd/store*.cc alone.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "core/bytes.h"
#include "core/openssl_ptr.h"
#include "core/result.h"

namespace keyward {

inline constexpr const char* kStoreDamaged =
    "the stored state is damaged: restore state.db from a backup";

inline constexpr const char* kDiskFull = "the disk that holds the state is full: make room on it";
// Whether space is what it takes. Callers of keyd see no more than that the disk failed (kIo).
bool IsDiskFull(const Error& error);

// What SQLite's last failure on `database` means. The text goes to the log alone.
Error StoreError(sqlite3* database, const char* doing);

class Statement {
 public:
  Statement(sqlite3* database, const char* sql);

  // Values for the question marks, in order.
  Statement& Bind(int64_t value);
  Statement& Bind(const std::string& text);
  Statement& Bind(ByteView blob);

  // True when there is a row to read, false at the end.
  Result<bool> Step();
  // For statements without rows.
  Result<void> Run();

  // Of the result; 0 when the statement does not hold.
  int columns() const { return sqlite3_column_count(statement_.get()); }
  // SQLITE_INTEGER, SQLITE_TEXT, ...
  int Type(int column) const { return sqlite3_column_type(statement_.get(), column); }
  int64_t Integer(int column) const;
  std::string Text(int column) const;
  Bytes Blob(int column) const;

 private:
  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>> statement_;
  int bound_ = 0;
  int error_ = SQLITE_OK;
};

// Rolls back unless committed.
class Transaction {
 public:
  static Result<Transaction> Begin(sqlite3* database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<void> Commit();

 private:
  explicit Transaction(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

}  // namespace keyward
