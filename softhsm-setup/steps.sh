# shellcheck shell=bash
# How the quickstart tells what it does: a line in plain words for each step, and how long it took. Sourced.

steps_log=$(mktemp)
trap 'rm -f "$steps_log"' EXIT

# The time since $1 (an earlier $EPOCHREALTIME), such as "3.25 s".
since() {
  local then=${1/[.,]/} now=${EPOCHREALTIME/[.,]/}
  local hundredths=$(((now - then + 5000) / 10000))
  printf '%d.%02d s' $((hundredths / 100)) $((hundredths % 100))
}

headline() { printf '\n%s\n' "$1"; }

# step WORDS COMMAND...: a step that takes moments; what it says is kept in $said, and shown when it fails.
# It runs in this shell, so that it may set variables.
step() {
  local words=$1 begun=$EPOCHREALTIME status=0
  shift
  printf '  %-70s ' "$words"
  "$@" >"$steps_log" 2>&1 || status=$?
  said=$(<"$steps_log")
  if [[ $status -eq 0 ]]; then
    printf '%7s\n' "$(since "$begun")"
  else
    printf '%7s\n%s\n' FAILED "$said"
    return 1
  fi
}

# Lines of what was said, below the step.
note() { printf '      %s\n' "${1//$'\n'/$'\n      '}"; }

# long_step WORDS COMMAND...: a step that shows its own progress.
long_step() {
  local words=$1 begun=$EPOCHREALTIME
  shift
  printf '  %s\n' "$words"
  "$@" || return
  printf '  %-70s %7s\n' '... done' "$(since "$begun")"
}

# is_refused MESSAGE COMMAND...: succeeds when the command fails and says MESSAGE.
is_refused() {
  local message=$1 answer
  shift
  if answer=$("$@" 2>&1); then
    printf 'This should have been refused: %s\n' "$*"
    return 1
  fi
  printf '%s\n' "$answer"
  [[ $answer == *"$message"* ]]
}
