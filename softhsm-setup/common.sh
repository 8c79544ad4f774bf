# shellcheck shell=bash
# What the provisioning scripts share. Sourced, never run.

die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 1
}

# Prints the comment at the top of the script: its help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is missing; run softhsm-setup/install-packages"
  done
}

# exec_as USER COMMAND...: becomes the command, as USER, with that user's groups alone. Only root can become
# another.
exec_as() {
  local user=$1
  shift
  if [[ $user == "$(id -un)" ]]; then
    exec "$@"
  else
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups --no-new-privs "$@"
  fi
}

# as_user USER COMMAND...: runs it as USER.
as_user() { (exec_as "$@"); }

check_user() {
  id -u "$1" >/dev/null 2>&1 || die "there is no user '$1'; create it first"
  [[ $EUID -eq 0 || $1 == "$(id -un)" ]] || die "only root can run things as '$1'"
}

# own_directory DIR USER MODE: makes DIR if it is missing, and gives it to USER.
own_directory() {
  [[ -d $1 ]] || install -d -m "$3" "$1"
  [[ $EUID -ne 0 ]] || chown "$2:" "$1"
}

# is_running PID PROGRAM: whether that process lives and runs that program, so that a number which the
# kernel has given to another process since is never taken for ours. The executable of a process that
# hides itself from its own user (keyd does) is told by its name alone.
is_running() {
  local exe
  [[ $1 =~ ^[0-9]+$ && -d /proc/$1 ]] || return 1
  # A process that has ended and only waits for its parent runs nothing.
  ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null || return 1
  if exe=$(readlink "/proc/$1/exe" 2>/dev/null); then
    exe=${exe% (deleted)}
    [[ ${exe##*/} == "$2" ]]
  else
    [[ $(cat "/proc/$1/comm" 2>/dev/null) == "$2" ]]
  fi
}

# pid_of FILE: the number that FILE holds, or nothing.
pid_of() {
  [[ -r $1 ]] && head -n 1 "$1" | tr -cd '0-9'
  return 0
}

# A Unix socket's path has at most 107 bytes (unix(7)).
check_socket_path() {
  [[ ${#1} -le 107 ]] || die "$1 is too long for a socket (107 bytes); choose a shorter directory"
}
