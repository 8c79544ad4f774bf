"""All that keyd is killed in."""

import hashlib

from kill_scenarios import (PEER_SPKI, Addition, Destroy, Enrolment, Generate, OnVersions, Prepare, Revoke,
                            RevokeModule, RevokePeer, Schedule, Start, Stop)
from kill_service_scenarios import (AddPcrPolicy, Backup, ExportRevocations, ImportRevocations, Seal, SecondSeal,
                                    SignAudit, Unseal)



def steady(backend):
    """Keys that are there all the time, each with what it is made of."""
    return {"steady-hard": ("ecdsa-p256", "hardware", backend), "steady-sealed": ("ed25519", "sealed", backend),
            "steady-derived": ("ed25519", "derived", ""), "fallen": ("ed25519", "sealed", backend)}


def scenarios(backend, identity):
    hard = (backend, "ecdsa-p256", "hardware")
    sealed = (backend, "ed25519", "sealed")
    derived = ("", "ed25519", "derived")
    fingerprint = hashlib.sha256(PEER_SPKI).hexdigest()
    guest = ("EnrolModule", "guest", identity)
    far = ("EnrolPeer", "far", PEER_SPKI)
    rotated, prepared = ("RotateKey",), ("PrepareKey",)
    each_custody = [scenario for custody in (hard, sealed, derived) for scenario in (
        Generate(*custody), Addition(*custody, "rotate", "RotateKey"),
        Destroy(*custody, "destroy", "DestroyKey", 0))]
    return [*each_custody,
            Prepare(*hard, "prepare", "PrepareKey"),
            OnVersions(*hard, "activate", "ActivateKey", first=[prepared],
                       states=[{1: "retiring", 2: "active"}]),
            OnVersions(*hard, "rotate to the prepared version of", "RotateKey", first=[prepared],
                       states=[{1: "retiring", 2: "active"}]),
            OnVersions(*hard, "retire a version of", "RetireVersion", 1, first=[rotated],
                       states=[{1: "retired"}]),
            OnVersions(*hard, "destroy a version of", "DestroyKey", 1, first=[rotated],
                       states=[{1: "revoked"}, {1: "destroyed"}]),
            OnVersions(*sealed, "revoke a version of", "RevokeKey", 1, first=[rotated],
                       states=[{1: "revoked"}]),
            Revoke(*hard, "revoke", "RevokeKey", 0), Schedule(*hard),
            Enrolment("enrol a module", *guest[:2], identity, None, identity),
            Enrolment("remove a module", "RemoveModule", "guest", identity, guest),
            Enrolment("enrol a peer", *far[:2], fingerprint, None, PEER_SPKI),
            Enrolment("remove a peer", "RemovePeer", "far", fingerprint, far),
            RevokeModule(backend), RevokePeer(),
            ImportRevocations(*sealed, "import revocations of", "ImportRevocations"),
            ExportRevocations(*sealed, "export revocations of", "ExportRevocations"),
            SecondSeal("make a second seal", "MakeSecondSeal"),
            SecondSeal("forget the second seal", "ForgetSecondSeal", False),
            *([AddPcrPolicy()] if backend == "tpm" else []),
            Backup(), SignAudit(), Seal("seal", "Seal"), Unseal("unseal", "Unseal"), Start(), Stop()]
