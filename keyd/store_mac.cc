#include "keyd/store_mac.h"

#include "core/blake2b.h"
#include "core/encoding.h"
#include "keyd/store_statement.h"

namespace keyward {
namespace {

constexpr std::string_view kDomain = "keyward store 1";

class Mac {
 public:
  explicit Mac(const SecretBytes& key) : mac_(key) {}

  void Add(ByteView bytes) { mac_.Add(bytes); }
  // A value: its type ('N' nothing, 'I' integer, 'T' text, 'B' bytes), its length, itself.
  void AddValue(char type, ByteView bytes) {
    Add(Writer()
            .Integer(static_cast<uint8_t>(type))
            .Integer(static_cast<uint64_t>(bytes.size()))
            .Take());
    Add(bytes);
  }
  void AddNumber(uint64_t number) { AddValue('I', Writer().Integer(number).Take()); }
  // Errors: kInternal.
  Result<StoreMac> Finish() { return mac_.End(); }

 private:
  Blake2bMac mac_;
};

Result<void> AddColumn(const Statement& row, int column, Mac& mac) {
  switch (row.Type(column)) {
    case SQLITE_NULL:
      mac.AddValue('N', {});
      return {};
    case SQLITE_INTEGER:
      mac.AddNumber(static_cast<uint64_t>(row.Integer(column)));
      return {};
    case SQLITE_TEXT:
      mac.AddValue('T', row.Blob(column));
      return {};
    case SQLITE_BLOB:
      mac.AddValue('B', row.Blob(column));
      return {};
    default:
      return Fail(Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause("a value of no type"));
  }
}

// Rows in the order of all their columns.
Result<void> AddTable(sqlite3* database, const std::string& name, Mac& mac) {
  if (name.find('"') != std::string::npos) {
    return Fail(Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause("a table's name"));
  }
  std::string sql = "SELECT * FROM \"" + name + "\" ORDER BY 1";
  const int columns = Statement(database, sql.c_str()).columns();
  for (int i = 2; i <= columns; ++i) sql += ", " + std::to_string(i);
  Statement rows(database, sql.c_str());
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) break;
    mac.AddValue('R', {});
    for (int i = 0; i < columns; ++i) KEYWARD_TRY(AddColumn(rows, i, mac));
  }
  mac.AddValue('E', {});
  return {};
}

}  // namespace

Result<StoreMac> MacOfStore(sqlite3* database, uint64_t epoch, const SecretBytes& key,
                            ByteView bound_to) {
  Mac mac(key);
  mac.Add(AsBytes(kDomain));
  mac.AddValue('B', bound_to);
  Statement version(database, "PRAGMA user_version");
  KEYWARD_TRY(version.Step());
  mac.AddNumber(static_cast<uint64_t>(version.Integer(0)));
  mac.AddNumber(epoch);
  // What the schema holds besides tables (a trigger, say) counts by its definition.
  Statement things(database,
                   "SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, things.Step());
    if (!row) return mac.Finish();
    const std::string type = things.Text(0);
    const std::string name = things.Text(1);
    for (int i = 0; i < 3; ++i) mac.AddValue('T', things.Blob(i));
    if (type == "table" && name != "integrity") KEYWARD_TRY(AddTable(database, name, mac));
  }
}

}  // namespace keyward
