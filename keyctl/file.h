// Files that an admin names on the command line.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward::keyctl {

// To be read. Errors: kInvalidArgument (not there, or not readable), kIo.
Result<UniqueFd> OpenFile(const std::string& path);

// The whole file, at most `limit` bytes. Errors: kInvalidArgument (not there, or not readable),
// kTooLarge, kIo.
Result<std::string> ReadTextFile(const std::string& path, size_t limit);

// Hands over the file, or for "-" all of `in`, chunk by chunk, until `take` does not want more.
// Errors: kInvalidArgument (not there, or not readable), kIo.
Result<void> ReadChunks(const std::string& path, std::istream& in,
                        const std::function<bool(std::string_view)>& take);

// That `path` can be written: it is no file yet, or with `replace` a regular one, in a folder that
// is there. To be asked before the work whose outcome goes there. Errors: kAlreadyExists,
// kInvalidArgument.
Result<void> CheckOutput(const std::string& path, bool replace);

// A file that is written bit by bit, and is there whole or not at all: until its end it is a draft
// beside its place, its name with `.draft.` and six letters or digits, of which a keyctl that is
// killed leaves what it has. Mode 0600.
class OutputFile {
 public:
  // Errors: those of CheckOutput, kIo.
  static Result<OutputFile> Create(const std::string& path, bool replace);
  ~OutputFile();  // without Finish, nothing is left
  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;

  // Errors: kIo.
  Result<void> Write(ByteView part);
  // It has its name, and is on disk, when this returns. Errors: kAlreadyExists (somebody else has
  // made such a file, which stays), kIo.
  Result<void> Finish();

 private:
  OutputFile(std::string path, std::string draft, UniqueFd file, bool replace)
      : path_(std::move(path)),
        draft_(std::move(draft)),
        file_(std::move(file)),
        replace_(replace) {}

  std::unexpected<Error> Failed() const;

  std::string path_;
  std::string draft_;
  UniqueFd file_;  // empty: nothing is to be removed
  bool replace_;
};

// Makes the file at once, as above. Errors: those of OutputFile.
Result<void> WriteOutput(const std::string& path, ByteView contents, bool replace);

}  // namespace keyward::keyctl
