# shellcheck shell=bash
# How the quickstart tells what it does: a line in plain words for each step, and how long it took. Sourced.

# The time since $1 (an earlier $EPOCHREALTIME), such as "3.2 s".
since() {
  local then=${1/[.,]/} now=${EPOCHREALTIME/[.,]/}
  local tenths=$(((now - then + 50000) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

headline() { printf '\n%s\n' "$1"; }

# step WORDS COMMAND...: a step that takes moments; what it says is shown only when it fails.
step() {
  local words=$1 begun=$EPOCHREALTIME said
  shift
  printf '  %-84s ' "$words"
  if said=$("$@" 2>&1); then
    printf '%9s\n' "$(since "$begun")"
  else
    printf '%9s\n%s\n' failed "$said" >&2
    return 1
  fi
}

# long_step WORDS COMMAND...: a step that shows its own progress.
long_step() {
  local words=$1 begun=$EPOCHREALTIME
  shift
  printf '  %s\n' "$words"
  "$@" || return
  printf '  %-84s %9s\n' '... done' "$(since "$begun")"
}

# refused WORDS MESSAGE COMMAND...: a step that must fail, and say MESSAGE.
refused() {
  step "$1" _is_refused "${@:2}"
}

_is_refused() {
  local message=$1 said
  shift
  if said=$("$@" 2>&1); then
    printf 'This should have been refused: %s\n' "$*"
    return 1
  fi
  [[ $said == *"$message"* ]] || { printf 'Refused, but not for "%s": %s\n' "$message" "$said"; return 1; }
}
