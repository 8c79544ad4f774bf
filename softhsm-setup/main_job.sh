# shellcheck shell=bash
# shellcheck disable=SC2154 # The quickstart, which sources this, sets backend and home.
# The quickstart's second half: the main job itself.

# Where the backend keeps its keys, and the class that the identities have there: a TPM has no Ed25519,
# so it seals those.
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

main_job() {
  choose_custody
  make_keys
}
