"""TLS towards others, and what went wrong on the way, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.base.errors import Invalid, Unreachable

if TYPE_CHECKING:
    import ssl

    from sluicegate.kit.connection import Tls

_CERTIFICATE = {  # X509_V_ERR_… of OpenSSL's x509_vfy.h
    9: ("is not valid yet", "Check the clocks of both machines."),
    10: ("has expired", "Renew it on the other side, or check this machine's clock."),
    18: ("is signed by itself", "Give its certificate as the CA if you trust it."),
    19: ("is signed by an unknown CA", "Give that CA's certificate."),
    20: ("is signed by an unknown CA", "Give that CA's certificate."),
    21: ("is signed by an unknown CA", "Give that CA's certificate."),
    62: ("is for another host", "Use the name in the certificate, or have it issued for this name."),
    64: ("is for another host", "Use the name in the certificate, or have it issued for this address."),
}


def system_authorities() -> str | None:
    """Return the file with the authorities that this machine trusts, for drivers that read it themselves."""
    import ssl

    return ssl.get_default_verify_paths().cafile


def trust(ca: str | None, verify: Tls) -> ssl.SSLContext:
    """Return the TLS context for a mode; ``ca`` is PEM text. ``Invalid`` when it is no certificate, or TLS is off."""
    import ssl

    if verify == "disable":
        raise Invalid("TLS was asked for and disabled at once.", where="tls")
    try:
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise Invalid("The CA is not a certificate.", where="ca", hint="Give PEM text.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify != "verify-full":
        context.check_hostname = False  # nosemgrep: tls-off
    if verify == "require":
        context.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-off
    return context


def unreachable(fault: BaseException, where: str) -> Unreachable:
    """Return the error that says in plain words what is wrong on the way to ``where``."""
    import ssl

    # httpcore keeps what happened as the argument of its own error
    cause = fault.args[0] if fault.args and isinstance(fault.args[0], BaseException) else fault
    if isinstance(cause, ssl.SSLCertVerificationError):
        what, hint = _CERTIFICATE.get(cause.verify_code, (f"does not hold: {cause.verify_message}", "Check it."))
        return Unreachable(f"The certificate of {where} {what}.", hint=hint)
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or "the connection ended").replace("_", " ").lower()
        hint = "Check that the port speaks TLS, and which versions."
        return Unreachable(f"No TLS connection to {where}: {reason}.", hint=hint)
    if isinstance(cause, ConnectionRefusedError):
        return Unreachable(f"Nothing listens at {where}.", hint="Check host and port, and that it runs.")
    if isinstance(cause, TimeoutError) or "Timeout" in type(fault).__name__:
        return Unreachable(f"{where} does not answer in time.", hint="Check the network and firewalls.")
    return Unreachable(
        f"The connection to {where} failed ({type(cause).__name__}).", hint="Check that it runs and is reachable."
    )
