"""Keys and certificates, read before a worker would die of them."""

from __future__ import annotations

import ssl
from dataclasses import replace

from .options import CannotServe, Options

LOCKED = """\
The key in {key} is encrypted, and Granian {version} cannot read such keys.

    openssl pkey -in {key} -out plain.pem && chmod 600 plain.pem

writes one that only its owner may read; or take an older one: pip install 'granian<2.8'.\
"""
OLD_FORM = """\
The key in {key} is encrypted in an old form that Granian cannot read.

    openssl pkcs8 -topk8 -v2 aes-256-cbc -in {key} -out new.pem\
"""


def checked_tls(options: Options, version: str) -> Options:
    """The options as this version of Granian takes them. Raises CannotServe."""
    if options.cert is None:
        if options.key is not None:
            raise CannotServe("--key needs --cert, the file of the certificate.")
        if options.client_ca is not None:
            raise CannotServe(
                "--client-ca needs --cert: clients show certificates over HTTPS only."
            )
        return options
    if options.key is None:
        raise CannotServe("--cert needs --key, the file of the certificate's private key.")
    text = options.key.read_bytes()
    encrypted = b"ENCRYPTED" in text
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without any password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(options.cert, options.key, options.key_password or "")
    except OSError as error:
        raise CannotServe(f"{_fault_of(error, options, encrypted)}.") from None
    if options.client_ca is not None:
        try:
            context.load_verify_locations(options.client_ca)
        except OSError:
            raise CannotServe(
                f"--client-ca {options.client_ca} has no certificate in PEM."
            ) from None
    if not encrypted:
        return replace(options, key_password=None)  # with one, Granian wants an encrypted key
    if _release(version) >= (2, 8):
        raise CannotServe(LOCKED.format(key=options.key, version=version))
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in text:
        raise CannotServe(OLD_FORM.format(key=options.key))
    return options


def _fault_of(error: OSError, options: Options, encrypted: bool) -> str:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"The key in {options.key} is not that of the certificate in {options.cert}"
    if encrypted:
        wrong = "is wrong" if options.key_password else "is missing: --key-password"
        return f"The key in {options.key} cannot be read; perhaps its password {wrong}"
    return f"{options.cert} and {options.key} are no certificate and private key in PEM"


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
