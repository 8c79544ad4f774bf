# shellcheck shell=bash
# shellcheck disable=SC2154 # The quickstart, which sources this, sets these variables.
# The quickstart's second half: the main job itself.

readonly kFileSize=$((10 * 1024 * 1024))
readonly kPatience=30 # seconds, for whatever is waited for
module_pids=()

# Where the keys live, and the class that the identities have there: a TPM has no Ed25519, so it seals
# those.
choose_custody() {
  frontend_at=(--custody hardware --custodian hsm)
  backend_at=(--custody sealed --custodian tpm)
  tls_at=(--custody hardware --custodian tpm)
  case $backend in
    hsm) backend_at=("${frontend_at[@]}") tls_at=("${frontend_at[@]}") ;;
    tpm) frontend_at=("${backend_at[@]}") ;;
  esac
}

make_keys() {
  headline 'The admin makes keys and enrols two modules'
  step "frontend-id: Ed25519, ${frontend_at[1]} in the ${frontend_at[3]}" \
    keyctl key generate frontend-id --algorithm ed25519 "${frontend_at[@]}"
  step "backend-id: Ed25519, ${backend_at[1]} in the ${backend_at[3]}" \
    keyctl key generate backend-id --algorithm ed25519 "${backend_at[@]}"
  step "backend-tls: ECDSA P-256, ${tls_at[1]} in the ${tls_at[3]}" \
    keyctl key generate backend-tls --algorithm ecdsa-p256 "${tls_at[@]}"
  step "frontend is enrolled (user $frontend_user)" \
    keyctl module enrol frontend --identity frontend-id
  step "backend is enrolled (user $backend_user)" keyctl module enrol backend --identity backend-id
}

# start_module USER ARGUMENTS...: runs the example module; the descriptor that it tells its events through,
# and its process id, are left in $module_fd and $module_pid.
start_module() {
  local user=$1
  shift
  exec {module_fd}< <(exec_as "$user" "$home/bin/keyward-example-module" --events "$@" 2>&1)
  module_pid=$!
  module_pids+=("$module_pid")
}

stop_modules() {
  local pid
  for pid in "${module_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
}

# await FD EVENT: waits until the module tells of EVENT; leaves its line in $told.
await() {
  local seen=''
  while IFS= read -r -t "$kPatience" -u "$1" told; do
    [[ $told != *"\"event\":\"$2\""* ]] || return 0
    seen+=$told$'\n'
  done
  printf 'the module did not tell of "%s" but said:\n%s' "$2" "$seen"
  return 1
}

# What NAME is in the line last told.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" <<<"$told"; }

# The folder of what the two exchange: a socket of the backend's, and a file that it receives.
make_work_folder() {
  install -d -m 0755 "$home/work"
  own_directory "$home/work/backend" "$backend_user" 0755
  head -c "$kFileSize" /dev/urandom >"$home/work/file"
}

meet() {
  start_module "$backend_user" --listen "$home/work/backend/socket" --key backend-id --peer frontend \
    --say 'Grüße vom backend' --receive-file "$home/work/backend/file" --chat-until-closed
  backend_fd=$module_fd
  await "$backend_fd" listening || return
  start_module "$frontend_user" --connect "$home/work/backend/socket" --key frontend-id --peer backend \
    --say 'Greetings from frontend' --send-file "$home/work/file" --chat-until-closed
  frontend_fd=$module_fd
  await "$frontend_fd" established && await "$backend_fd" established
}

exchange_texts() {
  await "$backend_fd" text && printf 'frontend: %s\n' "$(field text)" &&
    await "$frontend_fd" text && printf 'backend: %s\n' "$(field text)"
}

receive_file() {
  local sent received
  await "$backend_fd" file || return
  sent=$(sha256sum <"$home/work/file")
  received=$(sha256sum <"$home/work/backend/file")
  [[ $received == "$sent" && $(field sha256) == "${sent%% *}" ]] && printf 'SHA-256 %s\n' "${sent%% *}"
}

talk() {
  headline 'They authenticate each other and talk, over a socket of their own'
  step 'data for them is made' make_work_folder
  step 'each proves to the other who it is; keyd signs, neither holds a key' meet
  step 'texts go both ways' exchange_texts
  note "$said"
  step 'a file of 10 MiB arrives with the same hash' receive_file
  note "$said"
}

verify_with_openssl() {
  openssl dgst -sha256 -verify "$home/work/tls/public.pem" \
    -signature "$home/work/tls/signature.bin" "$home/work/tls/payload.bin"
}

sign_tls() {
  headline "backend's P-256 key signs TLS handshakes, and nothing else"
  own_directory "$home/work/tls" "$backend_user" 0755
  step 'a TLS 1.3 CertificateVerify is signed; bytes that are none are refused' \
    as_user "$backend_user" "$home/bin/keyward-example-sign-tls" --key backend-tls \
    --directory "$home/work/tls"
  note "$said"
  step 'openssl verifies the signature' verify_with_openssl
  if [[ $frontend_user != "$backend_user" ]]; then
    step "frontend may not use it: no rule of security.yaml says so" \
      is_refused 'the policy grants the caller no such key' as_user "$frontend_user" \
      "$home/bin/keyward-example-sign-tls" --key backend-tls --directory "$home/work/tls"
  fi
}

# Waits until each module tells of messages that came after it was called.
still_talking() {
  local fd
  for fd in "$frontend_fd" "$backend_fd"; do
    while read -r -t 0 -u "$fd"; do read -r -u "$fd" _; done
    await "$fd" chat || return
  done
}

# Each module tells why its session ended, with the code of the reason.
both_ended() {
  local fd
  for fd in "$frontend_fd" "$backend_fd"; do
    await "$fd" closed || return
    [[ $(field code) == Revoked ]] || { printf 'ended for another reason: %s\n' "$told" && return 1; }
  done
  field reason
}

administer() {
  headline 'While they talk, the admin rotates a key and then revokes one'
  step 'frontend-id is rotated' keyctl key rotate frontend-id
  note "$said"
  step 'the session that runs goes on' still_talking
  step 'what the admin sees of it' keyctl sessions list
  note "$said"
  step 'frontend-id is revoked' keyctl key revoke frontend-id --yes
  note "$said"
  step 'the session is dead on both ends' both_ended
  note "$said"
  step 'the service is sealed: no key is left in memory, and none can be used' seal_all
  note "$said"
  step 'and unsealed: the hardware releases the master key again' keyctl unseal
  note "$said"
}

seal_all() {
  keyctl seal --yes && is_refused 'the service is sealed' keyctl key list
}

main_job() {
  choose_custody
  make_keys
  talk
  sign_tls
  administer
}
