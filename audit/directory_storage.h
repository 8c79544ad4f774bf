// Segments as files of one folder.
#pragma once

#include <filesystem>
#include <memory>

#include "audit/storage.h"

namespace keyward::audit {

// Locks the folder, which must be there, against another log until it is destroyed. Files are of
// mode 0600; what else is in the folder is let be. Errors: kBusy (the folder is another log's),
// kIo.
Result<std::unique_ptr<Storage>> OpenDirectory(const std::filesystem::path& folder);

}  // namespace keyward::audit
