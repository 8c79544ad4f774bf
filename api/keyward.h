// Everything of libkeyward.
#pragma once

#include "api/admin.h"    // for administrators' tools
#include "api/client.h"   // open sessions and keys
#include "api/connect.h"  // reach keyd, wait for it
#include "api/key.h"      // sign handshakes
#include "api/session.h"  // talk to a peer
#include "api/stream.h"   // over a connection of one's own
